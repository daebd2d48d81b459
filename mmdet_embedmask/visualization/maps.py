"""Maps over the network input: those of the image inside it, and probabilities as colours."""

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..inspection import InspectedImage
from .labels import FONT, FONT_SCALE
from .style import HEADER_HEIGHT, PAPER, Image

COLORMAP = cv2.COLORMAP_VIRIDIS
"""From dark blue (P = 0) to yellow (P = 1), brighter throughout."""

KEY_WIDTH = 320
"""Pixels of the colour key's bar."""


def cells_inside(inspected: InspectedImage) -> Tensor:
    """The pixel embedding without the cells that are padding alone: (D, h', w')."""
    height, width = (-(-side // inspected.stride) for side in inspected.meta["img_shape"][:2])
    return inspected.pixel_embedding[:, :height, :width]


def colored_map(probability: NDArray[np.float32]) -> Image:
    """A map (H, W) of values from 0 to 1 in COLORMAP: (H, W, 3)."""
    levels = np.round(255 * probability.clip(0, 1)).astype(np.uint8)
    colored: Image = cv2.applyColorMap(levels, COLORMAP).astype(np.uint8)
    return colored


def color_key(width: int, mask_thr: float) -> Image:
    """A line with the colours from 0 to 1 and a mark at the threshold.

    Args:
        width: of the line in pixels.
        mask_thr: the marked probability.

    Returns:
        (2 * HEADER_HEIGHT, width, 3).
    """
    line: Image = np.full((2 * HEADER_HEIGHT, width, 3), PAPER, np.uint8)
    left, top, bottom = (width - KEY_WIDTH) // 2, HEADER_HEIGHT // 2, HEADER_HEIGHT
    values = np.linspace(0, 1, KEY_WIDTH, dtype=np.float32)[None].repeat(bottom - top, axis=0)
    line[top:bottom, left : left + KEY_WIDTH] = colored_map(values)
    mark = left + round(mask_thr * (KEY_WIDTH - 1))
    cv2.line(line, (mark, top - 5), (mark, bottom + 5), (32, 32, 32), 1)
    _text(line, "P = 0", left - 32, (top + bottom) // 2)
    _text(line, "P = 1", left + KEY_WIDTH + 32, (top + bottom) // 2)
    _text(line, f"threshold {mask_thr:g}", mark, bottom + 15)
    return line


def _text(picture: Image, text: str, x: int, y: int) -> None:
    """Write around a middle, inside the picture."""
    (width, height), _ = cv2.getTextSize(text, FONT, FONT_SCALE, 1)
    left = max(0, min(x - width // 2, picture.shape[1] - width))
    origin = left, y + height // 2
    cv2.putText(picture, text, origin, FONT, FONT_SCALE, (32, 32, 32), 1, cv2.LINE_AA)
