"""EmbedMask for MMDetection 3.x: importing this package registers its modules."""

# ruff: noqa: E402, I001  (the order matters, see the comments)
from .compat.environment import check_environment

# First of all: it imports none of the packages that it looks for.
check_environment()

from .compat.checkpoint import install_checkpoint_loader
from .compat.mmcv_ops import install_mmcv_ops

# Before anything imports MMDetection's models, which import MMCV's compiled operations.
install_mmcv_ops()
install_checkpoint_loader()

from .compat.coco_dataset import install_coco_dataset

install_coco_dataset()

from .embed_mask import EmbedMask
from .heads import EmbedMaskATSSHead, EmbedMaskHead, PixelEmbedHead
from .hooks import AtomicCheckpointHook, EmbeddingVisualizationHook, SetupCheckHook
from .layers import SemanticBranch
from .losses import LovaszHingeLoss
from .tta import EmbedMaskTTAModel
from .version import __version__

__all__ = [
    "AtomicCheckpointHook",
    "EmbedMask",
    "EmbedMaskATSSHead",
    "EmbedMaskHead",
    "EmbedMaskTTAModel",
    "EmbeddingVisualizationHook",
    "LovaszHingeLoss",
    "PixelEmbedHead",
    "SemanticBranch",
    "SetupCheckHook",
    "__version__",
]
