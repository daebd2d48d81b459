"""Whether the 'segmentation' of an annotation can be drawn, before pycocotools gets it.

pycocotools draws polygons and decodes run lengths in C: far coordinates exhaust the memory, and
run lengths with a wrong sum, or broken text, are read beyond their end.
"""

from typing import Any, Literal

import numpy as np

from ..functional.run_lengths import decode_counts
from .category import is_whole

State = Literal["drawn", "empty", "short"]
"""Of a mask: pixels in the image; none; a polygon with fewer than three points."""

MIN_COORDINATES = 6
"""Of a polygon: three points."""


def mask_state(segmentation: Any, height: int, width: int) -> State:
    """Check polygons or run lengths.

    Args:
        segmentation: as COCO's format has it.
        height: of the image.
        width: of the image.

    Returns:
        What kind of mask it gives: "short" if one polygon is, else "drawn" if one polygon is.

    Raises:
        ValueError: with cause and cure, if it gives none.
    """
    if isinstance(segmentation, dict):
        return _run_length_state(segmentation, height, width)
    if not isinstance(segmentation, list):
        raise ValueError("'segmentation' must be a list of polygons or an RLE dict")
    if not segmentation:
        raise ValueError("'segmentation' is an empty list: write polygons or an RLE, or remove it")
    states = [_polygon_state(polygon, height, width) for polygon in segmentation]
    if "short" in states:
        return "short"
    return "drawn" if "drawn" in states else "empty"


def _polygon_state(polygon: Any, height: int, width: int) -> State:
    if not isinstance(polygon, list):
        raise ValueError("'segmentation' must be a list of lists: [[x1, y1, x2, y2, ...], ...]")
    if not set(map(type, polygon)) <= {int, float}:
        raise ValueError("a polygon holds something that is not a number: write [x1, y1, ...]")
    if len(polygon) % 2:
        raise ValueError("a polygon has an odd number of coordinates: one of them is missing")
    if len(polygon) < MIN_COORDINATES:
        return "short"
    try:
        points = np.array(polygon, dtype=np.float64).reshape(-1, 2)
    except OverflowError:
        points = np.full((1, 2), np.inf)
    size, margin = np.array([width, height]), max(width, height)
    # NaN is in no range either.
    if not ((points >= -margin) & (points <= size + margin)).all():
        raise ValueError(
            "a polygon lies further outside than the image is large, or is NaN or infinite: write "
            "coordinates in pixels of this image"
        )
    outside = (points.max(axis=0) <= 0) | (points.min(axis=0) >= size)
    return "empty" if outside.any() else "drawn"


def _run_length_state(rle: dict[Any, Any], height: int, width: int) -> State:
    size, counts = rle.get("size"), rle.get("counts")
    if not isinstance(size, list) or size != [height, width] or bool in map(type, size):
        raise ValueError(
            "the 'size' of an RLE mask is not the image's [height, width]: write the mask at the "
            "image's size"
        )
    if isinstance(counts, str):
        lengths = decode_counts(counts)
    elif isinstance(counts, list) and all(map(is_whole, counts)):
        # Before NumPy reads it: a number of any size may stand there.
        if not all(0 <= count <= height * width for count in counts):
            raise ValueError("an RLE mask has a run below 0 or longer than the image")
        lengths = np.array(counts, dtype=np.int64)
    elif isinstance(counts, bytes):
        raise ValueError("the 'counts' of an RLE mask are bytes: write counts.decode('ascii')")
    else:
        raise ValueError("an RLE mask needs 'counts', as text or as a list of whole numbers")
    if (lengths < 0).any() or lengths.sum() != height * width:
        raise ValueError(
            "the 'counts' of an RLE mask do not sum to height x width: the mask is damaged or of "
            "another image"
        )
    return "drawn" if lengths[1::2].any() else "empty"
