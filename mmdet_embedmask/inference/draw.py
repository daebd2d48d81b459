"""Detections drawn over their image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from ..functional.run_lengths import decode_mask
from ..visualization.colors import PALETTE, box_colors
from ..visualization.labels import (
    FONT_SCALE,
    Rectangle,
    draw_label,
    fitting_labels,
    free_place,
    label_size,
)
from ..visualization.overlay import overlay_masks
from ..visualization.style import OUTLINE, Color, Image
from .coco_results import Detection

Labels = Literal["fitting", "all", "none"]
Colors = Literal["instance", "class"]

OUTLINE_SHARE = 1 / 400
"""Thickness of an outline as a share of the image's longer side, at least OUTLINE."""

THIN_SHARE = 1 / 12
"""The most that an outline takes of a mask's shorter side, on each side of it."""

LABEL_SIDE = 1000
"""Pixels of a longer side beyond which labels grow with the image."""


@dataclass(frozen=True)
class Style:
    """How detections are drawn.

    Args:
        labels: those that find room, all, or none.
        colors: by instance, so that neighbours differ, or by class, the same in every frame.
        boxes: whether boxes are drawn.
    """

    labels: Labels = "fitting"
    colors: Colors = "instance"
    boxes: bool = True


def draw_detections(picture: Image, detections: Sequence[Detection], style: Style) -> None:
    """Draw masks with outlines, boxes and labels into a picture, in place.

    One mask is decoded at a time, and drawn where it lies.

    Args:
        picture: (H, W, 3) in blue, green, red, of the detections' size.
        detections: the best first: masks of better ones lie on top.
        style: how.
    """
    if not detections:
        return
    longer_side = max(picture.shape[:2])
    outline = max(OUTLINE, round(longer_side * OUTLINE_SHARE))
    extents = np.array([_mask_box(detection) for detection in detections])
    colors = _colors(detections, extents, longer_side, style.colors)
    for detection, extent, color in reversed(list(zip(detections, extents, colors, strict=True))):
        _draw_mask(picture, detection, extent, color=color, outline=outline)
    boxes = np.array([d["bbox"] for d in detections], np.float64)
    boxes[:, 2:] += boxes[:, :2]
    if style.boxes:
        for box, color in zip(boxes.round().astype(int).tolist(), colors, strict=True):
            cv2.rectangle(picture, box[:2], box[2:], color, max(1, outline // 2))
    if style.labels != "none":
        _draw_labels(picture, detections, boxes, colors, everywhere=style.labels == "all")


def _mask_box(detection: Detection) -> tuple[int, int, int, int]:
    """First column and row of a mask, and the first beyond it."""
    x, y, width, height = coco_mask.toBbox(detection["segmentation"]).astype(int).tolist()
    return x, y, x + width, y + height


def _colors(
    detections: Sequence[Detection], extents: NDArray[np.int64], longer_side: int, by: Colors
) -> list[Color]:
    if by == "class":
        return [PALETTE[d["category_id"] % len(PALETTE)] for d in detections]
    return box_colors(extents - np.array([0, 0, 1, 1]), longer_side)


def _draw_mask(
    picture: Image, detection: Detection, extent: NDArray[np.int64], *, color: Color, outline: int
) -> None:
    x1, y1, x2, y2 = extent.tolist()
    if x1 == x2 or y1 == y2:
        return
    outline = max(1, min(outline, round(min(x2 - x1, y2 - y1) * THIN_SHARE)))
    # Room for the outline where the mask does not end at the border of the picture.
    rows = slice(max(0, y1 - outline), y2 + outline)
    columns = slice(max(0, x1 - outline), x2 + outline)
    height, width = picture.shape[:2]
    mask = decode_mask(detection["segmentation"], (height, width))[rows, columns]
    overlay_masks(picture[rows, columns], [mask], [color], outline=outline)


def _draw_labels(
    picture: Image,
    detections: Sequence[Detection],
    boxes: NDArray[np.float64],
    colors: Sequence[Color],
    *,
    everywhere: bool,
) -> None:
    height, width = picture.shape[:2]
    scale = FONT_SCALE * max(1.0, max(height, width) / LABEL_SIDE)
    texts = [_texts(detection) for detection in detections]
    sizes = [[label_size(text, scale) for text in options] for options in texts]
    places = fitting_labels(boxes, sizes, (height, width))
    if everywhere:
        taken: list[Rectangle] = []
        for index, box in enumerate(boxes):
            label_width, label_height = sizes[index][0]
            middle = box[0] + label_width / 2, box[1] - label_height / 2
            taken.append(free_place(middle, sizes[index][0], taken, (height, width)))
        places = [(0, place) for place in taken]
    for options, choice, color in zip(texts, places, colors, strict=True):
        if choice is not None:
            draw_label(picture, options[choice[0]], choice[1], color=color, scale=scale)


def _texts(detection: Detection) -> list[str]:
    """Labels that would do, in ASCII, which OpenCV can draw: the score with the class, or alone."""
    name = detection["category"].encode("ascii", "replace").decode()
    return [f"{name} {detection['score']:.2f}", f"{detection['score']:.2f}"]
