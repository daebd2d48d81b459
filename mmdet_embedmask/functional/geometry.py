"""Strides, units and positions of the maps, each number in one place; maps as lists of points.

Points are in MMDetection's order: levels ascending, then row by row.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

SPATIAL_AWARE_DIM = 2
"""Channels 0-1 are the spatial-aware part of an embedding, the rest the spatial-free part."""

POSITION_UNIT = 100.0
"""Pixels of the network input to one unit of the embedding (both released programs)."""

P3_STRIDE = 8
"""Stride in pixels of P3, on which the paper embeds pixels (and the semantic loss is learned)."""

P2_STRIDE = P3_STRIDE // 2
"""Stride of P2, and of the finer pixel embedding (ours)."""

MASK_UPSAMPLE = 2
"""The pixel embedding's stride over the mask stride (paper section 3.5)."""

MASK_STRIDE = P3_STRIDE // MASK_UPSAMPLE
"""Stride in pixels at which the paper's masks are learned and predicted: 4 (section 3.5)."""


def cell_positions(maps: Tensor, stride: int) -> Tensor:
    """Centres of the cells of a map in pixels of the network input, as FCOS's points.

    Args:
        maps: (N, C, h, w); gives size, dtype and device.
        stride: of the map.

    Returns:
        (1, 2, h, w) as (x, y), float32 at least.

    Example:
        >>> cell_positions(torch.zeros(1, 16, 1, 3), stride=8)[0, 0]
        tensor([[ 4., 12., 20.]])
    """
    dtype = torch.promote_types(maps.dtype, torch.float32)
    y, x = (
        (torch.arange(cells, device=maps.device, dtype=dtype) + 0.5) * stride
        for cells in maps.shape[-2:]
    )
    return torch.stack(torch.meshgrid(x, y, indexing="xy"))[None]


def flatten_points(maps: Tensor) -> Tensor:
    """(..., C, h, w) -> (..., h * w, C).

    Example:
        >>> flatten_points(torch.arange(4).view(2, 1, 2))
        tensor([[0, 2], [1, 3]])
    """
    return maps.flatten(-2).transpose(-1, -2)


def flatten_levels(levels: list[Tensor]) -> Tensor:
    """Levels of (N, C, h, w) -> (N, P, C) with the P points of all levels.

    Example:
        >>> flatten_levels([torch.zeros(1, 4, 2, 3), torch.ones(1, 4, 1, 1)]).shape
        torch.Size([1, 7, 4])
    """
    return torch.cat([flatten_points(level) for level in levels], dim=1)


def per_point(per_level: Sequence[float], num_points: Sequence[int], like: Tensor) -> Tensor:
    """Repeat a number of each level for each of its points.

    Args:
        per_level: one number a level.
        num_points: points of each level.
        like: gives dtype and device.

    Returns:
        (P,).

    Example:
        >>> per_point([8, 16], [2, 1], torch.zeros(()))
        tensor([ 8.,  8., 16.])
    """
    levels = zip(per_level, num_points, strict=True)
    return torch.cat([like.new_full((number,), value) for value, number in levels])


def prior_centers(priors: Tensor) -> Tensor:
    """Positions (P, 2) of points (P, 2), or centres of anchors (P, 4).

    Example:
        >>> prior_centers(torch.tensor([[0.0, 0.0, 8.0, 4.0]]))
        tensor([[4., 2.]])
    """
    return priors if priors.shape[-1] == 2 else (priors[:, :2] + priors[:, 2:]) / 2
