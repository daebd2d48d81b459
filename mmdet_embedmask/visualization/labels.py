"""Text on pictures: whole, readable, and beside each other rather than over each other."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from .style import Color, Image

FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_SCALE = 0.45
TITLE_FONT_SCALE = 0.6
PADDING = 3
"""Pixels between a text and the edge of its box."""
LABEL_HEIGHT = 18
"""About the height of a label in pixels."""
MAX_HIDDEN = 0.12
"""Share of any box that labels, all together, may cover."""

Rectangle = tuple[int, int, int, int]  # x1, y1, x2, y2; the last two are not part of it


def text_line(text: str, *, height: int, width: int) -> Image:
    """A white strip of the given size with dark text in its middle."""
    strip = np.full((height, width, 3), 255, np.uint8)
    scale = _fitting_scale(text, TITLE_FONT_SCALE, width)
    (text_width, text_height), _ = cv2.getTextSize(text, FONT, scale, 1)
    origin = (width - text_width) // 2, (height + text_height) // 2
    cv2.putText(strip, text, origin, FONT, scale, (32, 32, 32), 1, cv2.LINE_AA)
    return strip


def draw_labels(
    picture: Image,
    texts: Sequence[str],
    middles: Sequence[tuple[float, float]],
    colors: Sequence[Color],
) -> list[Rectangle]:
    """Write texts on dark boxes into the picture, in place.

    Args:
        picture: (H, W, 3).
        texts: one a label.
        middles: (x, y) where each label should have its middle; it is moved into the picture, and
            up or down where another label is in its way.
        colors: of the boxes' frames.

    Returns:
        The rectangles that were drawn over.
    """
    taken: list[Rectangle] = []
    for text, middle, color in zip(texts, middles, colors, strict=True):
        scale = _fitting_scale(text, FONT_SCALE, picture.shape[1])
        place = free_place(middle, label_size(text, scale), taken, picture.shape[:2])
        taken.append(place)
        draw_label(picture, text, place, color=color, scale=scale)
    return taken


def label_size(text: str, scale: float) -> tuple[int, int]:
    """Width and height in pixels of a label, box included.

    Args:
        text: one line.
        scale: of the font.
    """
    thickness = _thickness(scale)
    (width, height), baseline = cv2.getTextSize(text, FONT, scale, thickness)
    padding = thickness * PADDING
    return width + 2 * padding, height + baseline + 2 * padding


def draw_label(picture: Image, text: str, place: Rectangle, *, color: Color, scale: float) -> None:
    """Write a text on a dark box into the picture, in place.

    Args:
        picture: (H, W, 3).
        text: one line.
        place: of the size that `label_size` gives.
        color: of the box's frame.
        scale: of the font.
    """
    thickness = _thickness(scale)
    x1, y1, x2, y2 = place
    cv2.rectangle(picture, (x1, y1), (x2 - 1, y2 - 1), (0, 0, 0), cv2.FILLED)
    cv2.rectangle(picture, (x1, y1), (x2 - 1, y2 - 1), color, thickness)
    (_, height), _ = cv2.getTextSize(text, FONT, scale, thickness)
    origin = x1 + thickness * PADDING, y1 + thickness * PADDING + height
    cv2.putText(picture, text, origin, FONT, scale, (255, 255, 255), thickness, cv2.LINE_AA)


def _thickness(scale: float) -> int:
    """Pixels of a font's lines."""
    return max(1, round(scale / FONT_SCALE))


def _fitting_scale(text: str, scale: float, width: int) -> float:
    """The font scale, smaller where the text would be wider than the picture."""
    (text_width, _), _ = cv2.getTextSize(text, FONT, scale, 1)
    return scale * min(1.0, (width - 2 * PADDING) / max(1, text_width + 2 * PADDING))


def free_place(
    middle: tuple[float, float],
    size: tuple[int, int],
    taken: list[Rectangle],
    canvas: tuple[int, ...],
) -> Rectangle:
    """The nearest place above or below that no other label takes; the first if there is none."""
    places = []
    for step in range(canvas[0]):
        for direction in (1, -1):
            x1 = min(max(0, round(middle[0] - size[0] / 2)), canvas[1] - size[0])
            y1 = round(middle[1] - size[1] / 2) + direction * step
            y1 = min(max(0, y1), canvas[0] - size[1])
            place = x1, y1, x1 + size[0], y1 + size[1]
            if not any(_overlap(place, other) for other in taken):
                return place
            places.append(place)
    return places[0]


def fitting_labels(
    boxes: NDArray[np.float64],
    sizes: Sequence[Sequence[tuple[int, int]]],
    canvas: tuple[int, int],
) -> list[tuple[int, Rectangle] | None]:
    """Choose a label and its place for each box, in their order, or none where there is no room.

    A label stands above its box, inside it at the top, or below it; labels cover no other
    label and at most MAX_HIDDEN of any box.

    Args:
        boxes: (K, 4) as x1, y1, x2, y2 in pixels.
        sizes: for each box the (width, height) of the labels that would do, the best first.
        canvas: height and width of the picture.

    Returns:
        For each box the position of the chosen size in its sizes, and the place; or None.
    """
    taken: list[Rectangle] = []
    # Pixels of each box that labels may still cover.
    room = MAX_HIDDEN * (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    chosen: list[tuple[int, Rectangle] | None] = []
    for box, options in zip(boxes, sizes, strict=True):
        places = (
            (number, place)
            for number, size in enumerate(options)
            for place in _places(box, size, canvas)
            if np.all(_hidden(place, boxes) <= room)
            and not any(_overlap(place, other) for other in taken)
        )
        choice = next(places, None)
        chosen.append(choice)
        if choice is not None:
            taken.append(choice[1])
            room -= _hidden(choice[1], boxes)
    return chosen


def _places(
    box: NDArray[np.float64], size: tuple[int, int], canvas: tuple[int, int]
) -> list[Rectangle]:
    """Places of a label around its box, moved sideways into the picture."""
    width, height = size
    x1 = max(0, min(round(float(box[0])), canvas[1] - width))
    top, bottom = round(float(box[1])), round(float(box[3]))
    starts = [y1 for y1 in (top - height, top, bottom) if 0 <= y1 <= canvas[0] - height]
    return [(x1, y1, x1 + width, y1 + height) for y1 in starts] if width <= canvas[1] else []


def _overlap(first: Rectangle, second: Rectangle) -> bool:
    horizontal = first[0] < second[2] and second[0] < first[2]
    return horizontal and first[1] < second[3] and second[1] < first[3]


def _hidden(place: Rectangle, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels of each box that a label at the place covers."""
    low = np.maximum(place[:2], boxes[:, :2])
    high = np.minimum(place[2:], boxes[:, 2:])
    pixels: NDArray[np.float64] = (high - low).clip(min=0).prod(axis=1)
    return pixels
