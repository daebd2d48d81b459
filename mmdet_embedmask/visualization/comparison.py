"""Two models on the same image, with the mask IoU of every true instance (paper figure 4)."""

from dataclasses import dataclass

import numpy as np

from ..evaluation.matching import (
    FOUND_IOU,
    Matrix,
    Objects,
    iou_text,
    match,
    matched_ious,
    mean_iou,
    overlap,
)
from .colors import neighbor_colors
from .layout import beside, legend, page, picture_size, resized, titled
from .overlay import VALUE_DEPTH, draw_values, masks_at, overlay_masks, text_place
from .style import Color, Image

UNMATCHED: Color = (190, 190, 190)
"""Of predictions that no true instance is matched with."""

GOOD: Color = (255, 255, 255)
BAD: Color = (90, 90, 255)
"""Of the numbers: from FOUND_IOU on, and below."""

KEY = (
    (f"true outline and IoU of an instance with IoU < {FOUND_IOU}", BAD),
    ("prediction without a true instance", UNMATCHED),
)


@dataclass(frozen=True)
class Candidate:
    """What one model predicts.

    Args:
        name: of the model.
        prediction: its objects, masks at the image's size.
    """

    name: str
    prediction: Objects


def instance_ious(truth: Objects, prediction: Objects) -> Matrix:
    """Mask IoU (G,) of every true instance with its prediction of the same class, one each."""
    iou = overlap(truth, prediction).iou
    return matched_ious(iou, match(iou))


def comparison(
    image: Image, truth: Objects, candidates: tuple[Candidate, ...], *, title: str, tile: int = 400
) -> Image:
    """Draw input, ground truth and the masks of each model.

    A prediction has the colour of the true instance that it is matched with, or is gray. Every true
    instance has its mask IoU written on it; below FOUND_IOU it is red, as is the true outline.

    Args:
        image: (H, W, 3) in blue, green, red.
        truth: G objects, masks at the image's size.
        candidates: the models.
        title: of the picture.
        tile: pixels of the longer side of each panel.

    Returns:
        (height, width, 3) in blue, green, red.
    """
    picture = resized(image, picture_size(image.shape, tile))
    colors = neighbor_colors(truth.masks)
    true_picture = picture.copy()
    overlay_masks(true_picture, truth.masks, colors)
    panels = [
        ("input", picture),
        (f"ground truth: {len(truth.labels)} instances", true_picture),
        *(_draw_candidate(picture, truth, candidate, colors) for candidate in candidates),
    ]
    body = beside([titled(panel, name, tile) for name, panel in panels])
    return page([body, legend(KEY, body.shape[1])], title)


def _draw_candidate(
    picture: Image, truth: Objects, candidate: Candidate, colors: list[Color]
) -> tuple[str, Image]:
    """Title and picture of one model."""
    prediction = candidate.prediction
    iou = overlap(truth, prediction).iou
    matched = match(iou)
    ious = matched_ious(iou, matched)
    owner = {int(k): color for k, color in zip(matched, colors, strict=True) if k >= 0}
    own = [owner.get(k, UNMATCHED) for k in range(len(prediction.labels))]
    lost = ious < FOUND_IOU
    canvas = picture.copy()
    overlay_masks(canvas, prediction.masks, own)
    overlay_masks(canvas, truth.masks[lost], [BAD] * int(lost.sum()), outline=1, opacity=0)
    places = [text_place(mask, VALUE_DEPTH) for mask in masks_at(truth.masks, picture.shape)]
    inks = [BAD if is_lost else GOOD for is_lost in lost]
    draw_values(canvas, [_number(value) for value in ious], places, inks)
    return f"{candidate.name}: {iou_text(mean_iou(ious))}", canvas


def _number(value: np.float64) -> str:
    """Two digits without the leading zero: what fits on a small instance."""
    return f"{value:.2f}".removeprefix("0")
