"""Panels with titles, in rows, on white paper, and the legend below them."""

from collections.abc import Sequence

import cv2
import numpy as np

from .labels import FONT, FONT_SCALE, text_line
from .style import GAP, HEADER_HEIGHT, MIN_TILE, PAPER, Color, Image

MAX_TITLE = 72
"""Characters of a title; of a longer one the middle is left out."""

SWATCH = 14
"""Side of a coloured square of a legend in pixels."""

SPACE = 24
"""Pixels between one entry of a legend and the next."""


def picture_size(shape: tuple[int, ...], tile: int) -> tuple[int, int]:
    """Height and width of an image whose longer side is ``tile`` pixels.

    Args:
        shape: (H, W, ...) of the image.
        tile: pixels.

    Raises:
        ValueError: if the tile is too small for labels.
    """
    if tile < MIN_TILE:
        raise ValueError(f"tile={tile} leaves no room for labels: use at least {MIN_TILE} pixels")
    scale = tile / max(shape[:2])
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def resized(image: Image, size: tuple[int, int]) -> Image:
    """Resize an image (H, W, 3) to (height, width): by area to shrink it, else smoothly."""
    shrinks = image.shape[0] > size[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    result: Image = cv2.resize(image, (size[1], size[0]), interpolation=method).astype(np.uint8)
    return result


def titled(picture: Image, title: str, width: int) -> Image:
    """Put a title above a picture, both in the middle of ``width``, where the title has room.

    Args:
        picture: (H, W, 3), W <= width.
        title: one line.
        width: of the panel in pixels.

    Returns:
        (HEADER_HEIGHT + H, width, 3).
    """
    line = text_line(shortened(title), height=HEADER_HEIGHT, width=width)
    left = (width - picture.shape[1]) // 2
    margins = (0, 0), (left, width - picture.shape[1] - left), (0, 0)
    return np.concatenate([line, np.pad(picture, margins, constant_values=PAPER)])


def beside(panels: Sequence[Image]) -> Image:
    """Panels from left to right with gaps between them, aligned at the top."""
    height = max(panel.shape[0] for panel in panels)
    parts = [_padded(panel, height, panel.shape[1] + GAP) for panel in panels[:-1]]
    return np.concatenate([*parts, _padded(panels[-1], height, panels[-1].shape[1])], axis=1)


def page(rows: Sequence[Image], title: str) -> Image:
    """Rows below each other under a title, with gaps between and around them."""
    width = max(row.shape[1] for row in rows)
    lines = [text_line(shortened(title), height=HEADER_HEIGHT, width=width)]
    lines += [_padded(row, row.shape[0] + GAP, width) for row in rows]
    return np.pad(
        np.concatenate(lines), ((GAP, 0), (GAP, GAP), (0, 0)), constant_values=PAPER
    ).astype(np.uint8)


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


def shortened(text: str) -> str:
    """A title of at most MAX_TITLE characters, in the ASCII that OpenCV can draw."""
    text = text.encode("ascii", "replace").decode()
    if len(text) <= MAX_TITLE:
        return text
    half = (MAX_TITLE - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def _padded(picture: Image, height: int, width: int) -> Image:
    missing = height - picture.shape[0], width - picture.shape[1]
    return np.pad(picture, ((0, missing[0]), (0, missing[1]), (0, 0)), constant_values=PAPER)
