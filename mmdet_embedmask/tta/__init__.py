"""Test-time augmentation."""

from .embed_mask_tta_model import EmbedMaskTTAModel

__all__ = ["EmbedMaskTTAModel"]
