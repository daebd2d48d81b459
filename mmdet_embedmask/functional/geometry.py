"""Strides, units and positions of the maps: each number once."""

import torch
from torch import Tensor

SPATIAL_AWARE_DIM = 2
"""Channels 0-1 are the spatial-aware part of an embedding, the rest the spatial-free part."""

POSITION_UNIT = 100.0
"""Pixels of the network input to one unit of the embedding (released)."""

MASK_STRIDE = 4
"""Stride in pixels at which masks are learned and predicted (paper section 3.5)."""

MASK_UPSAMPLE = 2
"""The mask stride is the pixel embedding's stride over this (8 to 4 in the paper, section 3.5)."""

SEMANTIC_STRIDE = 8
"""Stride in pixels of P3, on which the auxiliary semantic loss is learned."""


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
