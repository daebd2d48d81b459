"""Masks and numbers drawn over a picture."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from .labels import FONT, LABEL_HEIGHT, PADDING, Rectangle, free_place
from .style import OPACITY, OUTLINE, Color, Image

VALUE_FONT_SCALE = 0.4

VALUE_DEPTH = 9
"""The room of `text_place` that a value needs."""


def overlay_masks(
    picture: Image,
    masks: NDArray[np.bool_] | Sequence[NDArray[np.bool_ | np.uint8]],
    colors: Sequence[Color],
    *,
    outline: int = OUTLINE,
    opacity: float = OPACITY,
) -> None:
    """Draw translucent masks with solid outlines into a picture, in place.

    Args:
        picture: (H, W, 3).
        masks: K of (H', W'), of any size.
        colors: (K,) in blue, green, red.
        outline: thickness in pixels, inside the mask.
        opacity: of a mask within its outline; 0: the outline alone.
    """
    for mask, color in zip(masks_at(masks, picture.shape), colors, strict=True):
        inner = cv2.erode(mask, np.ones((3, 3), np.uint8), iterations=outline).astype(bool)
        mixed = (1 - opacity) * picture[inner] + opacity * np.array(color)
        picture[inner] = np.round(mixed).astype(np.uint8)
        picture[mask.astype(bool) & ~inner] = color


def masks_at(
    masks: NDArray[np.bool_] | Sequence[NDArray[np.bool_ | np.uint8]], shape: tuple[int, ...]
) -> list[NDArray[np.uint8]]:
    """Masks (K, H', W') at the height and width of a picture, nearest neighbours."""
    size = shape[1], shape[0]
    return [
        cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(np.uint8)
        for mask in masks
    ]


def draw_values(
    picture: Image,
    texts: Sequence[str],
    middles: Sequence[tuple[float, float]],
    colors: Sequence[Color],
) -> None:
    """Write short texts with a dark edge, each around its middle, in place.

    Smaller than labels, without a box: there is room for one on every nucleus.

    Args:
        picture: (H, W, 3).
        texts: one a value.
        middles: (x, y) in pixels of the picture; a text is moved into it, and up or down
            where another is in its way.
        colors: (K,) in blue, green, red.
    """
    taken: list[Rectangle] = []
    for text, middle, color in zip(texts, middles, colors, strict=True):
        (width, height), _ = cv2.getTextSize(text, FONT, VALUE_FONT_SCALE, 1)
        size = width + 2 * PADDING, height + 2 * PADDING
        place = free_place(middle, size, taken, picture.shape[:2])
        taken.append(place)
        origin = place[0] + PADDING, place[1] + PADDING + height
        for ink, thickness in (((0, 0, 0), 3), (color, 1)):
            cv2.putText(picture, text, origin, FONT, VALUE_FONT_SCALE, ink, thickness, cv2.LINE_AA)


def text_place(mask: NDArray[np.uint8], room: float) -> tuple[float, float]:
    """(x, y) of a mask's thickest part, so on a ring; above a mask that a text there would hide.

    Args:
        mask: (H, W) at the picture's size; of an empty one it is the picture's middle.
        room: pixels from the text's middle to the mask's border that leave the border visible.
    """
    if not mask.any():
        return mask.shape[1] / 2, mask.shape[0] / 2
    depth = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    if depth[y, x] >= room:
        return float(x), float(y)
    top = int(np.flatnonzero(mask.any(axis=1))[0])
    return float(np.flatnonzero(mask[top]).mean()), top - LABEL_HEIGHT / 2
