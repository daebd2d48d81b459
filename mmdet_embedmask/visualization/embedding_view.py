"""Pixel embeddings and proposals in common colours (paper figure 1).

Shapes used in this module:

    K: detections, C: embedding channels of a part, h, w: size of P3 of the network input
"""

from typing import Literal, get_args

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..functional.resize import maps_at_size
from ..inspection import InspectedImage
from ..options import check_option
from .colors import neighbor_colors
from .layout import beside, page, picture_size, resized, titled
from .maps import cells_inside
from .overlay import overlay_masks
from .style import Image

EmbeddingPart = Literal["both", "spatial_aware", "spatial_free"]
"""The channels that are coloured. Positions vary most: with 'both' they are what is seen."""

PERCENTILES = (1, 99)
"""The range of a principal component that the colours span; what lies beyond is clipped."""

MIN_SPREAD = 1e-4
"""A component that varies less than this share of the first one is drawn constant."""

DIMMED = 0.45
"""Brightness of the image behind the proposals."""


def embedding_view(
    image: Image,
    inspected: InspectedImage,
    *,
    mask_thr: float,
    title: str,
    part: EmbeddingPart = "both",
    tile: int = 360,
) -> Image:
    """Draw input, pixel embedding, proposals and masks of one image.

    Args:
        image: (H, W, 3) in blue, green, red.
        inspected: the same image, with the detections that are wanted.
        mask_thr: a pixel belongs to a mask if its probability is greater.
        title: of the picture.
        part: the channels that are coloured.
        tile: pixels of the longer side of each panel.

    Returns:
        (height, width, 3) in blue, green, red.

    Raises:
        ValueError: if the embedding does not have the part.
    """
    size = picture_size(image.shape, tile)
    picture = resized(image, size)
    channels = part_channels(part, inspected.spatial_aware_dim, len(inspected.pixel_embedding))
    valid = cells_inside(inspected)
    pixel_colors, proposal_colors = common_colors(
        valid[channels], inspected.proposal_embedding[:, channels]
    )
    shape = inspected.meta["img_shape"][:2]
    maps = torch.from_numpy(pixel_colors).permute(2, 0, 1).float()
    embedding = maps_at_size(maps, shape, size, stride=inspected.stride).permute(1, 2, 0).numpy()
    masks = inspected.masks(mask_thr, size).cpu().numpy()
    masked = picture.copy()
    overlay_masks(masked, masks, neighbor_colors(masks))
    panels = [
        ("input", picture),
        (f"pixel embedding ({part.replace('_', '-')})", np.round(embedding).astype(np.uint8)),
        (f"{len(masks)} proposals", _draw_proposals(picture, inspected, proposal_colors, image)),
        (f"masks P > {mask_thr:g}", masked),
    ]
    return page([beside([titled(panel, name, tile) for name, panel in panels])], title)


def part_channels(part: EmbeddingPart, spatial_aware_dim: int, embed_dim: int) -> slice:
    """The channels of a part of the embedding.

    Args:
        part: the part.
        spatial_aware_dim: how many of the channels are spatial-aware, the first ones.
        embed_dim: all channels.

    Raises:
        ValueError: if there are none, or the part is unknown.
    """
    check_option("part", part, get_args(EmbeddingPart))
    parts = dict(
        both=(0, embed_dim),
        spatial_aware=(0, spatial_aware_dim),
        spatial_free=(spatial_aware_dim, embed_dim),
    )
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


def _draw_proposals(
    picture: Image, inspected: InspectedImage, colors: NDArray[np.uint8], image: Image
) -> Image:
    """Discs at the centres of the detections' boxes, over the dimmed picture.

    Args:
        picture: the image at the panel's size.
        inspected: K detections.
        colors: (K, 3) in blue, green, red.
        image: (H, W, 3) at its original size.

    Returns:
        As the picture.
    """
    canvas: Image = np.round(DIMMED * picture).astype(np.uint8)
    scale = picture.shape[0] / image.shape[0], picture.shape[1] / image.shape[1]
    radius = max(4, max(picture.shape[:2]) // 56)
    # The best detection last, so that it lies on top.
    boxes = inspected.original_bboxes().cpu().numpy()
    for (x1, y1, x2, y2), color in zip(boxes[::-1], colors[::-1], strict=True):
        center = round((x1 + x2) / 2 * scale[1]), round((y1 + y2) / 2 * scale[0])
        cv2.circle(canvas, center, radius + 2, (0, 0, 0), cv2.FILLED, cv2.LINE_AA)
        cv2.circle(canvas, center, radius + 1, (255, 255, 255), cv2.FILLED, cv2.LINE_AA)
        cv2.circle(canvas, center, radius - 1, [int(c) for c in color], cv2.FILLED, cv2.LINE_AA)
    return canvas
