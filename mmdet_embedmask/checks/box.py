"""Whether box, area and crowd flag of an annotation in COCO's format can be used."""

import sys
from typing import Any, Literal, TypeGuard

from .problems import ProblemCollector, show

Use = Literal["train", "val", "test"]
"""What an annotation file is for: "val" and "test" files are read by pycocotools' evaluation, and
a "test" file may lack annotations."""

NUMBERS = {int, float}
BOX_TOLERANCE = 1.0
"""Pixels by which boxes may lie outside without a word: COCO's own are rounded."""


def check_numbers(
    annotation: dict[str, Any], use: Use, where: str, found: ProblemCollector
) -> bool:
    """Check that box, area and crowd flag are there and are numbers."""
    box, area, crowd = (annotation.get(key) for key in ("bbox", "area", "iscrowd"))
    is_box = isinstance(box, list) and len(box) == 4 and set(map(type, box)) <= NUMBERS
    if not is_box:
        found.error(
            "'bbox' is missing or not four numbers: write [x, y, width, height]",
            f"{where}, {show(box)}",
        )
    # Not math.isfinite: it raises an error for large whole numbers.
    is_area = _is_number(area) and abs(area) <= sys.float_info.max
    if not is_area:
        found.error(
            "'area' is missing or not a finite number: write the mask's area in pixels",
            f"{where}, {show(area)}",
        )
    is_flag = crowd in (0, 1) if "iscrowd" in annotation else use == "train"
    if not is_flag:
        found.error(
            "'iscrowd' must be 0 or 1, and evaluation needs it: write 0 for a single object",
            f"{where}, {show(crowd)}",
        )
    return is_box and is_area and is_flag


def check_box(
    annotation: dict[str, Any], size: tuple[int, int], where: str, found: ProblemCollector
) -> bool:
    """Check the box; whether MMDetection leaves the annotation out because of it."""
    (x, y, w, h), (height, width) = annotation["bbox"], size
    where = f"{where}, bbox {show(annotation['bbox'])} in {width} x {height}"
    margin = max(height, width)
    inside = all(
        # Each alone first: Python cannot add a float to any whole number.
        -margin <= low <= limit + margin
        and length <= limit + 2 * margin
        and low + length <= limit + margin
        for low, length, limit in ((x, w, width), (y, h, height))
    )
    if w < 0 or h < 0:
        found.error("a box has a negative size: write [x, y, width, height]", where)
        return True
    if not inside:
        found.error(
            "a box lies further outside than the image is large, or is NaN or infinite: write "
            "[x, y, width, height] in pixels of this image",
            where,
        )
        return True
    if w < 1 or h < 1 or annotation["area"] <= 0:
        found.warning("smaller than one pixel, left out of training", where)
        return True
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        found.warning("the box lies outside the image, left out of training", where)
        return True
    beyond = max(-x, -y, x + w - width, y + h - height)
    if beyond > BOX_TOLERANCE:
        found.warning(
            "a box reaches beyond its image and is clipped: is it [x, y, width, height], not "
            "[x1, y1, x2, y2]?",
            where,
        )
    return False


def _is_number(value: Any) -> TypeGuard[int | float]:
    return type(value) in NUMBERS
