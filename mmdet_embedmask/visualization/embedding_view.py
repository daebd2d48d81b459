"""Pixel embeddings and proposals in common colours (paper figure 1)."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..inspection import InspectedImage
from .colors import neighbor_colors
from .embedding_colors import Part, common_colors, part_channels
from .layout import beside, page, picture_size, resized, titled
from .network_maps import PIXEL_STRIDE, cells_inside, to_picture
from .overlay import overlay_masks
from .style import Image

DIMMED = 0.45
"""Brightness of the image behind the proposals."""


def embedding_view(
    image: Image,
    inspected: InspectedImage,
    mask_thr: float,
    title: str,
    part: Part = "both",
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
    embedding = to_picture(maps, PIXEL_STRIDE, shape, size).transpose(1, 2, 0)
    masks = inspected.masks(mask_thr, size).cpu().numpy()
    masked = picture.copy()
    overlay_masks(masked, masks, neighbor_colors(masks))
    panels = [
        ("input", picture),
        (f"pixel embedding ({part.replace('_', '-')})", np.round(embedding).astype(np.uint8)),
        (f"{len(masks)} proposals", draw_proposals(picture, inspected, proposal_colors, image)),
        (f"masks P > {mask_thr:g}", masked),
    ]
    return page([beside([titled(panel, name, tile) for name, panel in panels])], title)


def draw_proposals(
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
