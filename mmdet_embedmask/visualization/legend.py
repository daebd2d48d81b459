"""A line of colours with their meaning."""

from collections.abc import Sequence

import cv2
import numpy as np

from .labels import FONT, FONT_SCALE
from .style import HEADER_HEIGHT, PAPER, Color, Image

SWATCH = 14
"""Side of a coloured square in pixels."""

SPACE = 24
"""Pixels between one entry and the next."""


def legend(entries: Sequence[tuple[str, Color]], width: int) -> Image:
    """Draw coloured squares with texts beside them, in the middle of a white line.

    Args:
        entries: text and colour in blue, green, red.
        width: of the line in pixels.

    Returns:
        (HEADER_HEIGHT, width, 3).
    """
    line: Image = np.full((HEADER_HEIGHT, width, 3), PAPER, np.uint8)
    sizes = [cv2.getTextSize(text, FONT, FONT_SCALE, 1)[0] for text, _ in entries]
    needed = sum(size[0] + SWATCH + SWATCH // 2 for size in sizes) + SPACE * (len(entries) - 1)
    left, top = max(0, (width - needed) // 2), (HEADER_HEIGHT - SWATCH) // 2
    for (text, color), (text_width, text_height) in zip(entries, sizes, strict=True):
        line[top : top + SWATCH, left : left + SWATCH] = color
        origin = left + SWATCH + SWATCH // 2, (HEADER_HEIGHT + text_height) // 2
        cv2.putText(line, text, origin, FONT, FONT_SCALE, (32, 32, 32), 1, cv2.LINE_AA)
        left = origin[0] + text_width + SPACE
    return line
