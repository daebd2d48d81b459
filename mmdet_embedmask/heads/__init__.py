"""The two heads: proposals and pixels."""

from .embed_mask_head import EmbedMaskHead
from .pixel_embed_head import PixelEmbedHead

__all__ = ["EmbedMaskHead", "PixelEmbedHead"]
