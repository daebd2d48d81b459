"""Colours of embeddings by their principal components.

Shapes used in this module:

    K: detections, C: embedding channels of a part, h, w: size of P3 of the network input
"""

from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Part = Literal["both", "spatial_aware", "spatial_free"]
"""The channels that are coloured. Positions vary most: with 'both' they are what is seen."""

PERCENTILES = (1, 99)
"""The range of a principal component that the colours span; what lies beyond is clipped."""

MIN_SPREAD = 1e-4
"""A component that varies less than this share of the first one is drawn constant."""


def part_channels(part: Part, spatial_aware_dim: int, embed_dim: int) -> slice:
    """The channels of a part of the embedding.

    Args:
        part: the part.
        spatial_aware_dim: how many of the channels are spatial-aware, the first ones.
        embed_dim: all channels.

    Raises:
        ValueError: if there are none, or the part is unknown.
    """
    parts = dict(
        both=(0, embed_dim),
        spatial_aware=(0, spatial_aware_dim),
        spatial_free=(spatial_aware_dim, embed_dim),
    )
    if part not in parts:
        raise ValueError(f"part={part!r} is not one of {get_args(Part)}")
    first, last = parts[part]
    if first == last:
        raise ValueError(f"this model's embedding has no {part} part: choose part='both'")
    return slice(first, last)


def common_colors(pixels: Tensor, proposals: Tensor) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Colour embeddings by the principal components of pixels and proposals together.

    Equal embeddings get equal colours, whichever of the two they come from.

    Args:
        pixels: (C, h, w).
        proposals: (K, C).

    Returns:
        (h, w, 3) and (K, 3) in blue, green, red: the third, second and first component.
    """
    points = torch.cat([pixels.flatten(1).T, proposals]).double().cpu().numpy()
    centered = points - points.mean(axis=0)
    axes = np.linalg.eigh(centered.T @ centered)[1][:, ::-1][:, :3]
    # An axis has no direction of its own: its largest entry decides, so that colours are stable.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    components = np.zeros((len(points), 3))
    components[:, : axes.shape[1]] = centered @ axes
    low, high = np.percentile(components, PERCENTILES, axis=0)
    spread = high - low
    varies = spread > max(MIN_SPREAD * spread[0], 1e-12)
    scaled = np.where(varies, (components - low) / np.where(varies, spread, 1), 0.5).clip(0, 1)
    colors = np.round(255 * scaled[:, ::-1]).astype(np.uint8)
    count = pixels[0].numel()
    return colors[:count].reshape(*pixels.shape[1:], 3), colors[count:]
