"""EmbedMask for MMDetection 3.x: importing this package registers its modules."""

from .compat.checkpoint import allow_mmengine_checkpoints
from .compat.environment import check_environment
from .compat.mmcv_ops import install_mmcv_ops
from .version import __version__

check_environment()
# Before anything imports MMDetection's models, which import MMCV's compiled operations.
install_mmcv_ops()
allow_mmengine_checkpoints()

from .embed_mask import EmbedMask  # noqa: E402
from .heads import EmbedMaskHead, PixelEmbedHead  # noqa: E402
from .hooks import SetupCheckHook  # noqa: E402
from .losses import LovaszHingeLoss  # noqa: E402

__all__ = [
    "EmbedMask",
    "EmbedMaskHead",
    "LovaszHingeLoss",
    "PixelEmbedHead",
    "SetupCheckHook",
    "__version__",
]
