"""Resizing along one axis as a matrix: several resizes in a row are then one.

Every resize between a probability map and a mask is separable and linear, so a mask's probability
is ``rows @ map @ columns.T``, whatever happens on the way. Each output is a weighted mean of a few
cells: weights are not negative and sum to one.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .aligned_bilinear import aligned_linear
from .coupling import MASK_UPSAMPLE
from .mask_targets import MASK_STRIDE

MaskResize = Literal["bilinear", "aligned"]
"""How probabilities are brought to the network input: 'bilinear' puts a cell's value at its middle
(pixel 4i + 1.5), 'aligned' at pixel 4i + 2, where ``mask_target='point'`` has read its target."""


def resize_matrix(
    cells: int,
    to_mask_stride: MaskResize | None,
    to_input: MaskResize,
    inside: int,
    size: int,
) -> Tensor:
    """The way of one axis from a map's cells to the pixels of the original image (section 3.5).

    Args:
        cells: n, of the map along this axis.
        to_mask_stride: how the map is brought to the mask stride; None: it has that stride.
        to_input: how the network input's size is reached from the mask stride.
        inside: pixels of the image inside the padding of the network input.
        size: s, pixels of the original image.

    Returns:
        (s, n) float64: row i holds the weights of pixel i.
    """
    maps = torch.eye(cells, dtype=torch.float64)
    if to_mask_stride is not None:
        maps = _enlarge(maps, MASK_UPSAMPLE, to_mask_stride)
    maps = _enlarge(maps, MASK_STRIDE, to_input)[:, :inside]
    return _linear(maps, size).T


def _enlarge(maps: Tensor, factor: int, resize: MaskResize) -> Tensor:
    if resize == "aligned":
        return aligned_linear(maps, factor)
    return _linear(maps, factor * maps.shape[1])


def _linear(maps: Tensor, size: int) -> Tensor:
    """Resize (n, m) to (n, size) with align_corners=False."""
    return F.interpolate(maps[:, None], size=size, mode="linear", align_corners=False)[:, 0]
