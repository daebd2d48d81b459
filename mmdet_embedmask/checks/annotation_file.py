"""Whether a whole annotation file in COCO's format can be used, before anything else reads it.

MMDetection and pycocotools trust the file. What is wrong with it shows as a KeyError in a worker,
as a crash in the first evaluation, or not at all, as a low AP.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeGuard

from .category import check_categories, is_id, is_whole
from .instance import FileContext, Sizes, Use, check_instance
from .problems import Problem, ProblemCollector, shown

MAX_PIXELS = 2**32 - 1
"""What COCO's run lengths can count."""

NO_INSTANCE = "there is no instance to learn from, crowds apart"
"""An error where nothing else is learned from."""


def check_coco_file(
    path: Path, classes: Sequence[str], use: Use = "train", labels_by_name: bool = True
) -> list[Problem]:
    """Check an annotation file.

    Args:
        path: of the file.
        classes: names that are learned, ``metainfo['classes']`` of the data set.
        use: what the file is for.
        labels_by_name: see `check_categories`.

    Returns:
        Its problems, errors first; `problems.raise_errors` turns them into an exception.
    """
    try:
        content = read_coco_file(path)
    except ValueError as error:
        return [Problem(str(error), True, 1, (str(path),))]
    return check_coco(content, classes, use, labels_by_name)


def read_coco_file(path: Path) -> Any:
    """Read JSON.

    Raises:
        ValueError: with cause and cure, if the file is missing or not JSON.
    """
    try:
        # With the locale's encoding, as pycocotools opens it.
        with path.open() as file:
            return json.load(file)
    except FileNotFoundError as error:
        raise ValueError(
            "the annotation file does not exist: correct data_root and ann_file of the data set"
        ) from error
    except OSError as error:
        raise ValueError(f"the annotation file cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        if path.stat().st_size == 0:
            raise ValueError("the annotation file is empty: copy or write it again") from error
        raise ValueError(
            f"the annotation file is not complete JSON in UTF-8 without a byte order mark ({error})"
            ": copy or write it again"
        ) from error


def check_coco(
    content: Any, classes: Sequence[str], use: Use = "train", labels_by_name: bool = True
) -> list[Problem]:
    """Check what an annotation file holds.

    Args:
        content: of the file, as ``json.load`` gives it; not changed.
        classes: names that are learned.
        use: what the file is for.
        labels_by_name: see `check_categories`.

    Returns:
        Its problems, errors first.
    """
    found = ProblemCollector()
    if not isinstance(content, dict):
        found.error(
            "the file holds no JSON object: COCO's format is {'images': [...], 'annotations': "
            "[...], 'categories': [...]}",
            type(content).__name__,
        )
        return found.problems()
    if use == "test" and "annotations" not in content:
        content = {**content, "annotations": []}
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list):
            found.error(f"{key!r} is missing or not a list: COCO's format needs it", key)
    if found.problems():
        return found.problems()
    sizes = _check_images(content["images"], found)
    categories, learned = check_categories(content["categories"], classes, found, labels_by_name)
    context = FileContext(sizes, categories, learned, use)
    _check_annotations(content["annotations"], context, classes, found)
    return found.problems()


def _check_images(images: list[Any], found: ProblemCollector) -> Sizes:
    """Check the images; (height, width) of the usable ones by id."""
    sizes: Sizes = {}
    names: set[str] = set()
    if not images:
        found.error("the file lists no image: is it the right one?", "'images': []")
    for image in images:
        if not isinstance(image, dict):
            found.error("an entry of 'images' is not a JSON object: write {...}", shown(image))
            continue
        identity, name = image.get("id"), image.get("file_name")
        height, width = image.get("height"), image.get("width")
        where = f"image {shown(identity)}, {shown(name)}"
        if not isinstance(identity, str) and not is_id(identity):
            found.error("an image's 'id' is missing, or no whole number or text", where)
            continue
        if identity in sizes:
            found.error("an image id occurs twice, and one of the images would be lost", where)
        if not isinstance(name, str) or not name or "\0" in name:
            found.error("an image's 'file_name' is missing or no file name", where)
        elif name in names:
            found.warning("a file is listed as two images", where)
        names.add(str(name))
        if not (_is_length(height) and _is_length(width) and height * width <= MAX_PIXELS):
            found.error(
                "an image's 'height' or 'width' is missing or not a whole number of at least 1",
                f"{where}, height {shown(height)}, width {shown(width)}",
            )
            continue
        sizes[identity] = (int(height), int(width))
    if len({isinstance(identity, str) for identity in sizes}) > 1:
        found.error("image ids are numbers and text: write all in one way", "'images'")
    return sizes


def _is_length(value: Any) -> TypeGuard[int | float]:
    return is_whole(value) and 1 <= value <= MAX_PIXELS


def _check_annotations(
    annotations: list[Any], context: FileContext, classes: Sequence[str], found: ProblemCollector
) -> None:
    """Check all annotations, and that there is something to learn."""
    num_learned = 0
    seen: set[int | float] = set()
    left_out = context.categories - context.learned
    for annotation in annotations:
        num_learned += check_instance(annotation, context, found)
        identity = annotation.get("id") if isinstance(annotation, dict) else None
        if is_id(identity):
            if identity in seen:
                found.error("an annotation id occurs twice: number them", shown(identity))
            seen.add(identity)
        category = annotation.get("category_id") if isinstance(annotation, dict) else None
        if is_id(category) and category in left_out:
            found.warning(
                "annotations of a category that is not in metainfo's classes are left out",
                f"annotation {shown(identity)}, category {category}",
            )
    if not num_learned and context.use == "train":
        found.error(NO_INSTANCE, f"classes {shown(classes)}")
    elif not annotations:
        found.warning("there is no annotation: predictions cannot be evaluated", context.use)
