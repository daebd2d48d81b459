"""Resizes of maps: bilinear, aligned, and several in a row as one matrix for each axis.

Every resize between a probability map and a mask is separable and linear, so a mask's probability
is ``rows @ map @ columns.T``, whatever happens on the way. Each output is a weighted mean of a few
cells: weights are not negative and sum to one.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .geometry import MASK_STRIDE, MASK_UPSAMPLE

ResizeMode = Literal["bilinear", "aligned"]
"""How maps are enlarged: 'bilinear' (align_corners=False) puts cell i of stride 4 at pixel 4i +
1.5, the cell's middle; 'aligned' at 4i + 2, the pixel that ``mask_target='point'`` reads."""


def enlarge(maps: Tensor, factor: int, mode: ResizeMode) -> Tensor:
    """Resize (K, h, w) to (K, factor * h, factor * w).

    Example:
        >>> enlarge(torch.tensor([[[0.0, 4.0]]]), 2, "bilinear")[0, 0]
        tensor([0., 1., 3., 4.])
        >>> enlarge(torch.tensor([[[0.0, 4.0]]]), 2, "aligned")[0, 0]
        tensor([0., 0., 2., 4.])
    """
    if mode == "aligned":
        return aligned_bilinear(maps, factor)
    # K travels as the batch: it may be zero, and interpolate allows that only there.
    return F.interpolate(maps[:, None], scale_factor=factor, mode="bilinear", align_corners=False)[
        :, 0
    ]


def aligned_bilinear(maps: Tensor, factor: int) -> Tensor:
    """Up-sample so that output ``o`` reads the input at ``max(o - factor // 2, 0) / factor``.

    Every ``factor``-th output is an input cell itself, which align_corners=False never gives. From
    stride 8 to 4 cell j becomes cell 2 j + 1, whose target is read at pixel 8 j + 6, two beyond the
    cell's position 8 j + 4: the network learns that shift. Before the first input and beyond the
    last the border is replicated.

    Args:
        maps: (..., h, w).
        factor: whole number, at least 1.

    Returns:
        (..., factor * h, factor * w).

    Raises:
        ValueError: if the factor is not a whole number of at least 1.

    Example:
        >>> aligned_bilinear(torch.tensor([[0.0, 4.0]]), factor=2)
        tensor([[0., 0., 2., 4.], [0., 0., 2., 4.]])
    """
    return aligned_linear(aligned_linear(maps, factor), factor, dim=-2)


def aligned_linear(maps: Tensor, factor: int, dim: int = -1) -> Tensor:
    """As `aligned_bilinear`, along the last axis or the one before it alone.

    Example:
        >>> aligned_linear(torch.tensor([0.0, 4.0]), factor=4)
        tensor([0., 0., 0., 1., 2., 3., 4., 4.])
    """
    if factor != int(factor) or factor < 1:
        raise ValueError(f"factor={factor} must be a whole number of at least 1")
    size = maps.shape[dim]
    output = torch.arange(factor * size, device=maps.device)
    shifted = (output - factor // 2).clamp(min=0)
    left = shifted // factor
    weight = (shifted % factor).to(maps.dtype) / factor
    if dim == -2:
        weight = weight[:, None]
    right = (left + 1).clamp(max=size - 1)
    return torch.lerp(maps.index_select(dim, left), maps.index_select(dim, right), weight)


def maps_at_size(
    maps: Tensor,
    img_shape: tuple[int, int],
    size: tuple[int, int],
    mode: ResizeMode = "bilinear",
    *,
    stride: int = MASK_STRIDE,
) -> Tensor:
    """Resize to the network input, crop to the image inside the padding, resize to the original.

    Args:
        maps: (K, h, w) over the padded network input.
        img_shape: (height, width) of the image inside the padding.
        size: (height, width) of the result.
        mode: how the network input is reached.
        stride: of the maps.

    Returns:
        (K, *size).

    Example:
        >>> maps = torch.ones(1, 2, 2)  # over 8 x 8 pixels, of which 6 x 8 are image
        >>> maps_at_size(maps, (6, 8), (3, 4)).shape
        torch.Size([1, 3, 4])
    """
    image = enlarge(maps, stride, mode)[:, : img_shape[0], : img_shape[1]]
    return F.interpolate(image[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]


def resize_matrix(
    cells: int,
    to_mask_stride: ResizeMode | None,
    to_input: ResizeMode,
    *,
    inside: int,
    size: int,
    mask_stride: int = MASK_STRIDE,
) -> Tensor:
    """The way of one axis from a map's cells to the pixels of the original image (section 3.5).

    Args:
        cells: n, of the map along this axis.
        to_mask_stride: how the map is brought to the mask stride; None: it has that stride.
        to_input: how the network input is reached from there.
        inside: pixels of the image inside the padding of the network input.
        size: s, pixels of the original image.
        mask_stride: in pixels of the network input.

    Returns:
        (s, n) float64: row i holds the weights of pixel i.

    Example:
        >>> resize_matrix(2, None, "bilinear", inside=8, size=4) @ torch.tensor([0.0, 8.0]).double()
        tensor([0., 2., 6., 8.], dtype=torch.float64)
    """
    maps = torch.eye(cells, dtype=torch.float64)
    if to_mask_stride is not None:
        maps = _enlarge_axis(maps, MASK_UPSAMPLE, to_mask_stride)
    maps = _enlarge_axis(maps, mask_stride, to_input)[:, :inside]
    return _linear(maps, size).T


def _enlarge_axis(maps: Tensor, factor: int, mode: ResizeMode) -> Tensor:
    """As `enlarge`, of (n, m) along the last axis."""
    if mode == "aligned":
        return aligned_linear(maps, factor)
    return _linear(maps, factor * maps.shape[1])


def _linear(maps: Tensor, size: int) -> Tensor:
    """Resize (n, m) to (n, size) with align_corners=False."""
    return F.interpolate(maps[:, None], size=size, mode="linear", align_corners=False)[:, 0]
