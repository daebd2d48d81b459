"""The heads: proposals, on FCOS, on ATSS or on RTMDet, and pixels, with their semantic branch."""

from .embed_mask_atss_head import EmbedMaskATSSHead
from .embed_mask_head import EmbedMaskHead
from .embed_mask_rtmdet_head import EmbedMaskRTMDetHead
from .pixel_embed_head import PixelEmbedHead
from .semantic_branch import SemanticBranch

__all__ = [
    "EmbedMaskATSSHead",
    "EmbedMaskHead",
    "EmbedMaskRTMDetHead",
    "PixelEmbedHead",
    "SemanticBranch",
]
