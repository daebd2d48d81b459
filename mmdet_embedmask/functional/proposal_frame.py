"""The frame of a proposal: where it stands, and the unit of its embedding and margin there.

In the paper a proposal stands at its prior, and the spatial-aware channels of every proposal have
one unit, POSITION_UNIT pixels (eq. 2). So a margin must learn an object's size from nothing. The
other units are ours: they measure the offset and the margin of these channels in something of the
object's own size, so that a margin of the same precision is a mask of the right size everywhere.

Shapes used in this module:

    K: proposals, D: embedding channels, of which the first SPATIAL_AWARE_DIM have a unit
"""

from typing import Literal

import torch
from torch import Tensor

from .geometry import MASK_STRIDE, POSITION_UNIT, SPATIAL_AWARE_DIM

CouplingUnit = Literal["image", "level", "box"]
"""What a proposal's spatial-aware offset and margin are measured in: POSITION_UNIT pixels around
its prior (paper), the stride of its level around its prior (ours), or half the sides of its
predicted box around the box's middle (ours)."""

UNIT_MARGINS: dict[CouplingUnit, float] = dict(level=3.0, box=1.0)
"""Distance at which P = 0.5 before training, in units of ours: three strides, or the ellipse that
the box encloses."""

MIN_HALF_SIDE = MASK_STRIDE / 2
"""Pixels: half a cell of the paper's mask stride, however small the box."""


def proposal_frames(
    unit: CouplingUnit, centers: Tensor, strides: Tensor, boxes: Tensor
) -> tuple[Tensor, Tensor]:
    """Frames of proposals.

    Args:
        unit: of the spatial-aware channels.
        centers: (K, 2) of the priors as (x, y) in pixels of the network input.
        strides: (K,) of the priors' levels in pixels.
        boxes: (K, 4) predicted, in pixels, without a gradient; read for the unit 'box' alone.

    Returns:
        Positions (K, 2) and units (K, 2) as (x, y), both in pixels.

    Example:
        >>> centers, box = torch.tensor([[4.0, 4.0]]), torch.tensor([[0.0, 0.0, 40.0, 10.0]])
        >>> proposal_frames("box", centers, torch.tensor([8.0]), box)
        (tensor([[20.,  5.]]), tensor([[20.,  5.]]))
        >>> proposal_frames("level", centers, torch.tensor([8.0]), box)
        (tensor([[4., 4.]]), tensor([[8., 8.]]))
    """
    if unit == "box":
        corners = torch.unflatten(boxes, 1, (2, 2))  # (K, corner, 2)
        half_sides = (corners[:, 1] - corners[:, 0]) / 2
        return corners.mean(dim=1), half_sides.clamp(min=MIN_HALF_SIDE)
    if unit == "level":
        return centers, strides[:, None].expand_as(centers)
    return centers, torch.full_like(centers, POSITION_UNIT)


def in_embedding_units(predicted: Tensor, margin: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
    """Offset and margin of the spatial-aware channels, from a proposal's units to the embedding's.

    With u = unit / POSITION_UNIT the offset is u times and the margin, a precision, 1 / u^2 times
    what was predicted. In the paper's unit u is 1, and both stay what they are, to the bit.

    Args:
        predicted: (K, D) embedding without position.
        margin: (K, D), > 0.
        units: (K, 2) of `proposal_frames`.

    Returns:
        Both, (K, D) each.

    Example:
        >>> predicted, margin = torch.tensor([[1.0, 1.0, 1.0]]), torch.tensor([[1.0, 1.0, 1.0]])
        >>> in_embedding_units(predicted, margin, torch.tensor([[50.0, 200.0]]))
        (tensor([[0.5000, 2.0000, 1.0000]]), tensor([[4.0000, 0.2500, 1.0000]]))
    """
    unit = units / POSITION_UNIT
    aware, free = predicted.tensor_split([SPATIAL_AWARE_DIM], dim=1)
    aware_margin, free_margin = margin.tensor_split([SPATIAL_AWARE_DIM], dim=1)
    return (
        torch.cat([aware * unit, free], dim=1),
        torch.cat([aware_margin / unit**2, free_margin], dim=1),
    )
