"""The aligned bilinear up-sampling of the released Table 2 program."""

import torch
from torch import Tensor


def aligned_bilinear(maps: Tensor, factor: int) -> Tensor:
    """Up-sample so that output ``o`` reads the input at ``max(o - factor // 2, 0) / factor``.

    Every ``factor``-th output is an input cell itself, which align_corners=False never gives. From
    stride 8 to 4 cell j becomes cell 2 j + 1, whose target is read at pixel 8 j + 6, two beyond the
    cell's position 8 j + 4: the network learns that shift. Beyond the last input the border is
    replicated.

    Args:
        maps: (..., h, w).
        factor: whole number, at least 1.

    Returns:
        (..., factor * h, factor * w).

    Raises:
        ValueError: if the factor is not a whole number of at least 1.
    """
    return aligned_linear(aligned_linear(maps, factor), factor, dim=-2)


def aligned_linear(maps: Tensor, factor: int, dim: int = -1) -> Tensor:
    """As `aligned_bilinear`, along the last axis or the one before it alone."""
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
