"""The heads: proposals, on FCOS or on ATSS, and pixels, with their semantic branch."""

from .embed_mask_atss_head import EmbedMaskATSSHead
from .embed_mask_head import EmbedMaskHead
from .pixel_embed_head import PixelEmbedHead
from .semantic_branch import SemanticBranch

__all__ = ["EmbedMaskATSSHead", "EmbedMaskHead", "PixelEmbedHead", "SemanticBranch"]
