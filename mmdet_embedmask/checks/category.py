"""Whether the categories of a file in COCO's format fit the classes that are learned."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, TypeGuard

from .problems import ProblemCollector, raise_errors, shown


def is_whole(value: Any) -> TypeGuard[int | float]:
    """Whether a value is a whole number; 96.0 counts as 96."""
    return type(value) is int or (type(value) is float and value.is_integer())


def is_id(value: Any) -> TypeGuard[int | float]:
    """Whether a value can be the id of an annotation or a category."""
    return is_whole(value) and abs(value) < 2**63


def category_ids(categories: list[Any], classes: Sequence[str], file: str) -> list[int | float]:
    """The category id of every class.

    Args:
        categories: of the file.
        classes: names that are learned.
        file: how the message calls the file.

    Returns:
        Ids in the order of ``classes``.

    Raises:
        ValueError: if a class is not the name of exactly one category.
    """
    found = ProblemCollector()
    check_categories(categories, classes, found)
    raise_errors(found.problems(), file)
    ids = {category["name"]: category["id"] for category in categories}
    return [ids[name] for name in classes]


def check_categories(
    categories: list[Any],
    classes: Sequence[str],
    found: ProblemCollector,
    labels_by_name: bool = True,
) -> tuple[frozenset[int | float], frozenset[int | float]]:
    """Check categories and classes.

    Args:
        categories: of the file.
        classes: names that are learned.
        found: collects problems.
        labels_by_name: whether label k is the k-th class. If not, it is the k-th learned category
            of the file, as MMDetection has it, and their orders must be the same.

    Returns:
        The ids of all categories, and of those that are learned.
    """
    ids: dict[int | float, str] = {}
    for category in categories:
        identity = category.get("id") if isinstance(category, dict) else None
        name = category.get("name") if isinstance(category, dict) else None
        if not is_id(identity) or not isinstance(name, str):
            found.error(
                "a category lacks a whole number as 'id' or a text as 'name': write "
                "{'id': 1, 'name': 'cat'}",
                shown(category),
            )
            continue
        if identity in ids:
            found.error("a category id occurs twice: number them", shown(category))
        if name in ids.values() and name in classes:
            found.error("two categories share a name: unite them", shown(category))
        ids[identity] = name
    if isinstance(classes, str) or len(set(classes)) != len(classes):
        found.error("classes must be a tuple of different names: ('cat', 'dog')", shown(classes))
    names = list(ids.values())
    for name in classes:
        if name not in names:
            close = get_close_matches(name, names, 1) if isinstance(name, str) else []
            found.error(
                "a class is not among the file's categories: write metainfo=dict(classes=...) "
                "exactly as the file has them, or add the category to the file",
                f"{shown(name)}, the file has {shown(close[0] if close else names)}",
            )
    learned = [name for name in names if name in classes]
    if not labels_by_name and learned != list(classes) and set(learned) == set(classes):
        found.error(
            "labels go by the order of the file's categories, which is not that of metainfo's "
            "classes: set the data set's type='CocoDatasetByName' and its evaluator's "
            "type='CocoMetricByName', or reorder the classes",
            f"classes {shown(list(classes))}, the file has {shown(learned)}",
        )
    return frozenset(ids), frozenset(key for key, name in ids.items() if name in classes)
