"""Text on pictures: whole, readable, and beside each other rather than over each other."""

from collections.abc import Sequence

import cv2
import numpy as np

from .style import Color, Image

FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_SCALE = 0.45
TITLE_FONT_SCALE = 0.6
PADDING = 3
"""Pixels between a text and the edge of its box."""
LABEL_HEIGHT = 18
"""About the height of a label in pixels."""

Rectangle = tuple[int, int, int, int]  # x1, y1, x2, y2; the last two are not part of it


def text_line(text: str, height: int, width: int) -> Image:
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
        draw_label(picture, text, place, color, scale)
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


def draw_label(picture: Image, text: str, place: Rectangle, color: Color, scale: float) -> None:
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


def _overlap(first: Rectangle, second: Rectangle) -> bool:
    horizontal = first[0] < second[2] and second[0] < first[2]
    return horizontal and first[1] < second[3] and second[1] < first[3]
