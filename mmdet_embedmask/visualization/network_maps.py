"""Maps over the network input, at the size of a picture."""

from functools import partial

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..functional.geometry import MASK_STRIDE, MASK_UPSAMPLE
from ..functional.resize import ResizeMode, aligned_bilinear
from ..inspection import InspectedImage

PIXEL_STRIDE = MASK_STRIDE * MASK_UPSAMPLE
"""Of the pixel embedding, in pixels of the network input."""


def cells_inside(inspected: InspectedImage) -> Tensor:
    """The pixel embedding without the cells that are padding alone: (D, h', w')."""
    height, width = (-(-side // PIXEL_STRIDE) for side in inspected.meta["img_shape"][:2])
    return inspected.pixel_embedding[:, :height, :width]


def to_picture(
    maps: Tensor,
    stride: int,
    img_shape: tuple[int, int],
    size: tuple[int, int],
    resize: ResizeMode = "bilinear",
) -> NDArray[np.float32]:
    """Maps over the network input at the size of a picture of the image inside the padding.

    Args:
        maps: (C, h, w).
        stride: of a cell in pixels of the network input.
        img_shape: (height, width) of the image inside the padding.
        size: (height, width) of the result.
        resize: how the network input's size is reached.

    Returns:
        (C, *size).
    """
    bilinear = partial(F.interpolate, mode="bilinear", align_corners=False)
    maps = maps[:, None].float()
    if resize == "aligned":
        enlarged = aligned_bilinear(maps, stride)
    else:
        enlarged = bilinear(maps, scale_factor=stride)
    inside = enlarged[:, :, : img_shape[0], : img_shape[1]]
    result: NDArray[np.float32] = bilinear(inside, size=size)[:, 0].cpu().numpy()
    return result
