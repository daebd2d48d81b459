"""Whether one annotation of a file in COCO's format can be learned from, or measured against.

What MMDetection leaves out in silence is a warning. What crashes it or pycocotools, or is read as
something else, is an error.
"""

from dataclasses import dataclass
from typing import Any

from .box import Use, check_box, check_numbers
from .category import is_id
from .problems import ProblemCollector, show
from .segmentation import MIN_COORDINATES, mask_state

Sizes = dict[int | float | str, tuple[int, int]]
"""(height, width) of images, by id."""

NO_MASK = "a box without a mask: give it a 'segmentation' (polygons or RLE), or remove it"
"""An error wherever masks are loaded or measured."""


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
        found.error("an annotation is not a JSON object: write {...}", show(annotation))
        return False
    where = f"annotation {show(annotation.get('id'))} of image {show(annotation.get('image_id'))}"
    size = _check_references(annotation, context, where, found)
    if size is None or not check_numbers(annotation, context.use, where, found):
        return False
    dropped = check_box(annotation, size, where, found)
    category = annotation.get("category_id")
    if not is_id(category) or category not in context.learned:
        return False
    ignored = bool(annotation.get("ignore", False)) or dropped
    if ignored and context.use == "train":
        return False
    drawn = _check_mask(annotation, size, context.use, where, found)
    return drawn and not ignored and not annotation.get("iscrowd", 0)


def _check_references(
    annotation: dict[str, Any], context: FileContext, where: str, found: ProblemCollector
) -> tuple[int, int] | None:
    """Check the annotation's id, and image and category; the image's (height, width), if known."""
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
            f"{where}, category {show(category)}",
        )
    return size


def _check_mask(
    annotation: dict[str, Any], size: tuple[int, int], use: Use, where: str, found: ProblemCollector
) -> bool:
    """Check the mask; whether there is one."""
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
