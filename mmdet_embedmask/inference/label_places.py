"""Where the labels of boxes find room."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..visualization.labels import Rectangle

MAX_HIDDEN = 0.12
"""Share of any box that labels, all together, may cover."""


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
        For each box the position of the label in its sizes and the place, or None.
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
            if np.all(_overlap(place, boxes) <= room) and not _overlap(place, _array(taken)).any()
        )
        choice = next(places, None)
        chosen.append(choice)
        if choice is not None:
            taken.append(choice[1])
            room -= _overlap(choice[1], boxes)
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


def _array(places: Sequence[Rectangle]) -> NDArray[np.float64]:
    return np.array(places, np.float64).reshape(-1, 4)


def _overlap(place: Rectangle, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels that a place has in common with each box."""
    low = np.maximum(place[:2], boxes[:, :2])
    high = np.minimum(place[2:], boxes[:, 2:])
    pixels: NDArray[np.float64] = (high - low).clip(min=0).prod(axis=1)
    return pixels
