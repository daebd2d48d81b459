"""Positions of the cells of a feature map."""

import torch
from torch import Tensor

POSITION_UNIT = 100.0
"""Pixels of the network input to one unit of the embedding (released)."""


def cell_positions(maps: Tensor, stride: int) -> Tensor:
    """Centres of the cells of a map in pixels of the network input, as FCOS's points.

    Args:
        maps: (N, C, h, w); gives size, dtype and device.
        stride: of the map.

    Returns:
        (1, 2, h, w) as (x, y), float32 at least.
    """
    height, width = maps.shape[-2:]
    options = dict(device=maps.device, dtype=torch.promote_types(maps.dtype, torch.float32))
    y = (torch.arange(height, **options) + 0.5) * stride
    x = (torch.arange(width, **options) + 0.5) * stride
    return torch.stack(torch.meshgrid(x, y, indexing="xy"))[None]
