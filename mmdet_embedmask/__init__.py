"""EmbedMask for MMDetection 3.x: importing this package registers its modules.

Beside that, the import changes this in the process, and nothing else:

- Where MMCV is not compiled, a stand-in takes the place of ``mmcv._ext``, without which MMDetection
  cannot be imported (`compat.mmcv_ops`). Compiled operations are used as they are.
- MMEngine's ``CheckpointLoader.load_checkpoint`` reads what MMEngine's runner saves by torch's safe
  loader; ``torch.load`` by itself does not (`compat.checkpoint`).
- MMEngine gets a file backend ``atomic_local`` (`hooks.atomic_checkpoint_hook`).
- Registered names are those of ``__all__``. None of MMDetection's is taken over: other models, data
  sets and metrics are what they were.
"""

# ruff: noqa: E402, I001  (the order matters, see the comments)
from .compat.versions import check_environment

# First of all: it imports none of the packages that it looks for.
check_environment()

from .compat.checkpoint import install_checkpoint_loader
from .compat.mmcv_ops import install_mmcv_ops

# Before anything imports MMDetection's models, which import MMCV's compiled operations.
install_mmcv_ops()
install_checkpoint_loader()

from .data.coco_dataset import CocoDatasetByName, CocoMetricByName
from .embed_mask import EmbedMask
from .heads import (
    EmbedMaskATSSHead,
    EmbedMaskHead,
    EmbedMaskRTMDetHead,
    PixelEmbedHead,
    SemanticBranch,
)
from .hooks import AtomicCheckpointHook, EmbeddingVisualizationHook, SetupCheckHook
from .losses import LovaszHingeLoss
from .tta import EmbedMaskTTAModel
from .version import __version__

__all__ = [
    "AtomicCheckpointHook",
    "CocoDatasetByName",
    "CocoMetricByName",
    "EmbedMask",
    "EmbedMaskATSSHead",
    "EmbedMaskHead",
    "EmbedMaskRTMDetHead",
    "EmbedMaskTTAModel",
    "EmbeddingVisualizationHook",
    "LovaszHingeLoss",
    "PixelEmbedHead",
    "SemanticBranch",
    "SetupCheckHook",
    "__version__",
]
