"""Whether one annotation of a file in COCO's format can be learned from, or measured against.

What MMDetection leaves out in silence is a warning. What crashes it or pycocotools, or is read as
something else, is an error.
"""

import sys
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

from .category import is_id
from .problems import ProblemCollector, shown
from .segmentation import MIN_COORDINATES, mask_state

Use = Literal["train", "val", "test"]
"""What an annotation file is for: "val" and "test" files are read by pycocotools' evaluation, and
a "test" file may lack annotations."""

Sizes = dict[int | float | str, tuple[int, int]]
"""(height, width) of images, by id."""

NO_MASK = "a box without a mask: give it a 'segmentation' (polygons or RLE), or remove it"
"""An error wherever masks are loaded or measured."""

NUMBERS = {int, float}
"""Types of a number in JSON; a bool is none."""

MAX_OVERHANG = 1.0
"""A box may reach so many pixels beyond its image without a warning: COCO's own are rounded."""


@dataclass(frozen=True)
class FileContext:
    """What annotations refer to.

    Attributes:
        sizes: of every usable image.
        categories: ids of all categories.
        learned: ids of those that the classes name.
        use: what the file is for.
    """

    sizes: Sizes
    categories: frozenset[int | float]
    learned: frozenset[int | float]
    use: Use


def check_instance(annotation: Any, context: FileContext, found: ProblemCollector) -> bool:
    """Check an annotation.

    Args:
        annotation: from the file.
        context: what it refers to.
        found: collects its problems.

    Returns:
        Whether it is learned: neither left out nor a crowd, nor wrong.
    """
    if not isinstance(annotation, dict):
        found.error("an annotation is not a JSON object: write {...}", shown(annotation))
        return False
    where = f"annotation {shown(annotation.get('id'))} of image {shown(annotation.get('image_id'))}"
    size = _check_references(annotation, context, where, found)
    if size is None or not _check_numbers(annotation, context.use, where, found):
        return False
    dropped = _check_box(annotation, size, where, found)
    category = annotation.get("category_id")
    if not is_id(category) or category not in context.learned:
        return False
    ignored = bool(annotation.get("ignore", False)) or dropped
    if ignored and context.use == "train":
        return False
    drawn = _check_mask(annotation, size, context.use, where=where, found=found)
    return drawn and not ignored and not annotation.get("iscrowd", 0)


def _check_references(
    annotation: dict[str, Any], context: FileContext, where: str, found: ProblemCollector
) -> tuple[int, int] | None:
    """Check ids of annotation, image and category; return the image's (height, width), if known."""
    identity, image = annotation.get("id"), annotation.get("image_id")
    if not is_id(identity):
        found.error("an annotation's 'id' is missing or not a whole number: number them", where)
    if identity == 0 and context.use != "train":
        found.warning(
            "pycocotools counts a match with annotation id 0 as none, which lowers AP: number "
            "annotations from 1",
            where,
        )
    size = context.sizes.get(image) if isinstance(image, int | float | str) else None
    if size is None:
        found.error(
            "an annotation's 'image_id' is the id of no usable image: correct it, or remove the "
            "annotation",
            where,
        )
    category = annotation.get("category_id")
    if not is_id(category) or category not in context.categories:
        found.error(
            "an annotation's 'category_id' is the id of no category: correct it, or add the "
            "category (MMDetection would drop the annotation in silence)",
            f"{where}, category {shown(category)}",
        )
    return size


def _check_numbers(
    annotation: dict[str, Any], use: Use, where: str, found: ProblemCollector
) -> bool:
    """Check that box, area and crowd flag are there and are numbers."""
    box, area, crowd = (annotation.get(key) for key in ("bbox", "area", "iscrowd"))
    is_box = isinstance(box, list) and len(box) == 4 and set(map(type, box)) <= NUMBERS
    if not is_box:
        found.error(
            "'bbox' is missing or not four numbers: write [x, y, width, height]",
            f"{where}, {shown(box)}",
        )
    # Not math.isfinite: it raises an error for large whole numbers.
    is_area = _is_number(area) and abs(area) <= sys.float_info.max
    if not is_area:
        found.error(
            "'area' is missing or not a finite number: write the mask's area in pixels",
            f"{where}, {shown(area)}",
        )
    is_flag = crowd in (0, 1) if "iscrowd" in annotation else use == "train"
    if not is_flag:
        found.error(
            "'iscrowd' must be 0 or 1, and evaluation needs it: write 0 for a single object",
            f"{where}, {shown(crowd)}",
        )
    return is_box and is_area and is_flag


def _check_box(
    annotation: dict[str, Any], size: tuple[int, int], where: str, found: ProblemCollector
) -> bool:
    """Check the box; return whether MMDetection leaves the annotation out because of it."""
    (x, y, w, h), (height, width) = annotation["bbox"], size
    where = f"{where}, bbox {shown(annotation['bbox'])} in {width} x {height}"
    margin = max(height, width)
    inside = all(
        # Each alone first: Python cannot add a float to a huge whole number.
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
    if beyond > MAX_OVERHANG:
        found.warning(
            "a box reaches beyond its image and is clipped: is it [x, y, width, height], not "
            "[x1, y1, x2, y2]?",
            where,
        )
    return False


def _check_mask(
    annotation: dict[str, Any],
    size: tuple[int, int],
    use: Use,
    *,
    where: str,
    found: ProblemCollector,
) -> bool:
    """Check the mask; return whether there is one."""
    if not annotation.get("segmentation"):
        found.error(NO_MASK, where)
        return False
    try:
        state = mask_state(annotation["segmentation"], *size)
    except ValueError as error:
        found.error(str(error), where)
        return False
    if state == "short":
        kind = "a polygon has fewer than three points"
        if use == "train":
            found.warning(f"{kind} and is left out of training", where)
        else:
            found.error(f"{kind}, which pycocotools reads as a box: remove it", where)
        # MMDetection draws the others.
        return any(len(polygon) >= MIN_COORDINATES for polygon in annotation["segmentation"])
    if state == "empty":
        found.warning("no pixel of the mask lies in the image: its mask is not learned", where)
    return state == "drawn"


def _is_number(value: Any) -> TypeGuard[int | float]:
    return type(value) in NUMBERS
