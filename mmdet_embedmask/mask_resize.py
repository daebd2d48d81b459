"""Probability maps at the original image's size, by their plain definition (section 3.5)."""

import torch.nn.functional as F
from torch import Tensor

from .aligned_bilinear import aligned_bilinear
from .mask_targets import MASK_STRIDE
from .resize_matrix import MaskResize


def probability_at_size(
    maps: Tensor, img_shape: tuple[int, int], size: tuple[int, int], resize: MaskResize
) -> Tensor:
    """Resize to the network input, crop to the image inside the padding, resize to the original.

    Args:
        maps: (K, h, w) at the mask stride.
        img_shape: (height, width) of the image inside the padding.
        size: (height, width) of the result.
        resize: how the network input is reached.

    Returns:
        (K, *size).
    """
    if resize == "aligned":
        enlarged = aligned_bilinear(maps, MASK_STRIDE)
    else:
        enlarged = _resize(maps, (MASK_STRIDE * maps.shape[1], MASK_STRIDE * maps.shape[2]))
    return _resize(enlarged[:, : img_shape[0], : img_shape[1]], size)


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
