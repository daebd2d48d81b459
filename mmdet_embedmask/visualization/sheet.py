"""A sheet of pictures: input, ground truth and prediction side by side, one image a row.

Drawn with OpenCV rather than MMDetection's visualizer, which colours by class with random jitter,
writes tiny text on small objects and lets it run over the picture's border. Here every object has
a colour of its own, the same in both columns where prediction and truth agree.
"""

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

from ..evaluation.matching import Objects, mask_ious, match
from .labels import LABEL_HEIGHT, draw_labels, text_line
from .overlay import masks_at, overlay_masks, text_place
from .rows import Row
from .style import GAP, HEADER_HEIGHT, MIN_TILE, PAPER, Color, Image

COLUMN_TITLES = ("input", "ground truth", "prediction")

SAME_OBJECT_IOU = 0.5
"""From this overlap on a prediction takes the colour of the true object."""

HUE_STEP = 0.618034
"""Steps of the golden ratio keep hues apart, however many there are."""


def picture_sheet(rows: Sequence[Row], class_names: Sequence[str], *, tile: int = 320) -> Image:
    """Draw the sheet.

    Args:
        rows: the images, of any size.
        class_names: name of every label.
        tile: pixels of the longer side of each picture on the sheet.

    Returns:
        (height, width, 3) in blue, green, red; width = 3 * tile + 4 * GAP.

    Raises:
        ValueError: if there are no rows, or a row's parts do not fit each other.
    """
    if not rows:
        raise ValueError("there is no image to draw: give at least one row")
    if tile < MIN_TILE:
        raise ValueError(f"tile={tile} leaves no room for labels: use at least {MIN_TILE} pixels")
    for number, row in enumerate(rows):
        _check(f"row {number}, ground truth", row.image, row.truth, class_names)
        _check(f"row {number}, prediction", row.image, row.prediction, class_names)
    lines = [_header(tile), *(_draw_row(row, class_names, tile) for row in rows)]
    sheet = np.concatenate([_below_gap(line) for line in lines])
    return np.pad(sheet, ((0, GAP), (0, 0), (0, 0)), constant_values=PAPER)


def _check(where: str, image: Image, objects: Objects, class_names: Sequence[str]) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"{where}: the image is {image.dtype} of shape {image.shape}, but must be uint8 of "
            "shape (height, width, 3)"
        )
    count = len(objects.labels)
    if objects.masks.shape != (count, *image.shape[:2]):
        raise ValueError(
            f"{where}: masks of shape {objects.masks.shape} do not fit {count} labels and an image "
            f"of {image.shape[:2]}: give one mask a label, at the size of the image"
        )
    if objects.scores is not None and len(objects.scores) != count:
        raise ValueError(f"{where}: {len(objects.scores)} scores for {count} labels")
    if count and not 0 <= min(objects.labels) <= max(objects.labels) < len(class_names):
        raise ValueError(
            f"{where}: labels from {min(objects.labels)} to {max(objects.labels)} do not fit the "
            f"{len(class_names)} class names {tuple(class_names)}"
        )


def _header(tile: int) -> Image:
    titles = [text_line(title, height=HEADER_HEIGHT, width=tile) for title in COLUMN_TITLES]
    return _side_by_side(titles)


def _draw_row(row: Row, class_names: Sequence[str], tile: int) -> Image:
    scale = tile / max(row.image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in row.image.shape[:2])
    shrink = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    shrunk = cv2.resize(row.image, (width, height), interpolation=shrink)
    image: Image = shrunk.astype(np.uint8, copy=False)
    true_colors = [_color(index) for index in range(len(row.truth.labels))]
    colors = _prediction_colors(row, true_colors)
    pictures = [
        _fit(image, tile),
        _draw_objects(image, row.truth, true_colors, class_names=class_names, tile=tile),
        _draw_objects(image, row.prediction, colors, class_names=class_names, tile=tile),
    ]
    return _side_by_side(pictures)


def _draw_objects(
    image: Image, objects: Objects, colors: list[Color], *, class_names: Sequence[str], tile: int
) -> Image:
    """The image under translucent masks, with a label on or above each."""
    picture = image.copy()
    masks = masks_at(objects.masks, image.shape)
    overlay_masks(picture, masks, colors)
    texts = [class_names[label] for label in objects.labels]
    if objects.scores is not None:
        texts = [f"{text} {score:.2f}" for text, score in zip(texts, objects.scores, strict=True)]
    picture = _fit(picture, tile)
    places = [text_place(mask, LABEL_HEIGHT) if mask.any() else (0.0, 0.0) for mask in masks]
    draw_labels(picture, texts, places, colors)
    return picture


def _prediction_colors(row: Row, true_colors: list[Color]) -> list[Color]:
    """The colour of the true object that a prediction finds first, or a new one."""
    ious = mask_ious(row.truth.run_lengths(), row.prediction.run_lengths())
    # More than any IoU, so that earlier predictions choose first.
    turn = np.arange(ious.shape[1], 0, -1)
    matched = match(np.where(ious >= SAME_OBJECT_IOU, turn + ious, 0.0))
    owner = {int(k): color for k, color in zip(matched, true_colors, strict=True)}
    return [owner.get(k, _color(len(true_colors) + k)) for k in range(len(turn))]


def _color(index: int) -> Color:
    red, green, blue = colorsys.hsv_to_rgb(index * HUE_STEP % 1, 0.9, 1.0)
    return round(255 * blue), round(255 * green), round(255 * red)


def _fit(picture: Image, tile: int) -> Image:
    """Pad to the column's width, and to the height that a label needs."""
    height, width = picture.shape[:2]
    missing = max(0, HEADER_HEIGHT - height), tile - width
    return np.pad(picture, ((0, missing[0]), (0, missing[1]), (0, 0)), constant_values=PAPER)


def _side_by_side(pictures: Sequence[Image]) -> Image:
    padded = [np.pad(p, ((0, 0), (GAP, 0), (0, 0)), constant_values=PAPER) for p in pictures]
    return np.pad(np.concatenate(padded, axis=1), ((0, 0), (0, GAP), (0, 0)), constant_values=PAPER)


def _below_gap(line: Image) -> Image:
    return np.pad(line, ((GAP, 0), (0, 0), (0, 0)), constant_values=PAPER)
