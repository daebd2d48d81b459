"""Colours of instances that tell neighbours apart."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from .style import Color

PALETTE: tuple[Color, ...] = (
    (75, 210, 60),
    (255, 130, 30),
    (0, 225, 255),
    (230, 50, 240),
    (240, 240, 70),
    (0, 140, 255),
    (180, 105, 255),
    (255, 190, 220),
    (160, 160, 0),
    (160, 255, 190),
    (255, 60, 130),
)
"""Bright colours in blue, green, red, each far from the others; red is kept for what is wrong."""

REACH = 0.03
"""Gap, as a share of the image's longer side, at which a neighbour counts a quarter."""


def neighbor_colors(masks: NDArray[np.bool_]) -> list[Color]:
    """One colour of PALETTE a mask, chosen so that masks near each other differ.

    Hues in a fixed order soon repeat or come close, on neighbours too. Here each instance takes
    the colour that resembles its neighbours' least.

    Args:
        masks: (K, H, W).

    Returns:
        (K,) in blue, green, red; the same for the same masks.
    """
    if not len(masks):
        return []
    return box_colors(_boxes(masks), max(masks.shape[1:]))


def box_colors(boxes: NDArray[np.float64], longer_side: int) -> list[Color]:
    """One colour of PALETTE an instance, as `neighbor_colors`, from the masks' bounding boxes.

    Args:
        boxes: (K, 4), first column and row, last column and row of each mask.
        longer_side: of the image in pixels.

    Returns:
        (K,) in blue, green, red.
    """
    weight = (1 + _gaps(boxes) / (REACH * longer_side)) ** -2.0
    alike = _resemblance()
    chosen: list[int] = []
    for index in range(len(boxes)):
        # The first term spreads the palette where there are no neighbours.
        cost = np.bincount(chosen, minlength=len(PALETTE)) * 1e-3
        cost = cost + alike[:, chosen] @ weight[index, :index]
        chosen.append(int(cost.argmin()))
    return [PALETTE[color] for color in chosen]


def lab(colors: Sequence[Color]) -> NDArray[np.float64]:
    """Colours (K,) of blue, green, red in CIE L*a*b*, where distance is what the eye sees."""
    pixels = np.array(colors, np.float32).reshape(-1, 1, 3) / 255
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2LAB)[:, 0].astype(np.float64)


def _resemblance() -> NDArray[np.float64]:
    """Between the palette's colours: 1 for the same, towards 0 for different ones."""
    values = lab(PALETTE)
    distance = np.linalg.norm(values[:, None] - values[None], axis=2)
    return np.asarray(np.exp(-distance / 25.0))


def _boxes(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """First column and row, last column and row of masks: (K, 4); zeros for an empty one."""
    boxes = np.zeros((len(masks), 4))
    for box, mask in zip(boxes, masks, strict=True):
        columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        if len(columns):
            box[:] = columns[0], rows[0], columns[-1], rows[-1]
    return boxes


def _gaps(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels between any two boxes (K, 4): (K, K); 0 where they touch."""
    low, high = boxes[:, :2], boxes[:, 2:]
    apart = np.maximum(low[:, None] - high[None], low[None] - high[:, None]).clip(min=0)
    return np.asarray(np.hypot(apart[..., 0], apart[..., 1]))
