"""From pyramid levels to points, in MMDetection's order: levels ascending, then row by row."""

from collections.abc import Sequence

import torch
from torch import Tensor


def flatten_points(maps: Tensor) -> Tensor:
    """(..., C, h, w) -> (..., h * w, C)."""
    return maps.flatten(-2).transpose(-1, -2)


def flatten_levels(levels: list[Tensor]) -> Tensor:
    """Levels of (N, C, h, w) -> (N, P, C) with the P points of all levels."""
    return torch.cat([flatten_points(level) for level in levels], dim=1)


def per_point(per_level: Sequence[float], num_points: Sequence[int], like: Tensor) -> Tensor:
    """Repeat a number of each level for each of its points.

    Args:
        per_level: one number a level.
        num_points: points of each level.
        like: gives dtype and device.

    Returns:
        (P,).
    """
    repeats = torch.tensor(num_points, device=like.device)
    return like.new_tensor(per_level).repeat_interleave(repeats, output_size=sum(num_points))


def prior_centers(priors: Tensor) -> Tensor:
    """Positions (P, 2) of points (P, 2), or centres of anchors (P, 4)."""
    return priors if priors.shape[-1] == 2 else (priors[:, :2] + priors[:, 2:]) / 2
