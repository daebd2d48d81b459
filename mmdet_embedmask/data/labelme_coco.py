"""Annotations of labelme as one file in COCO's format."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .labelme import LabelmeImage, LabelmeInstance


def class_names(images: Iterable[LabelmeImage]) -> tuple[str, ...]:
    """All labels, sorted."""
    return tuple(sorted({instance.label for image in images for instance in image.instances}))


def coco_dataset(images: Sequence[LabelmeImage], classes: Sequence[str]) -> dict[str, Any]:
    """The content of an annotation file in COCO's format.

    Args:
        images: of the data set.
        classes: names in the order of the category ids, which start at 1.

    Raises:
        ValueError: if an instance has another label, or two classes share a name.
    """
    if len(set(classes)) < len(classes):
        raise ValueError(f"classes {tuple(classes)} must be different names")
    ids = {name: label + 1 for label, name in enumerate(classes)}
    dataset: dict[str, Any] = dict(
        images=[],
        annotations=[],
        categories=[dict(id=ids[name], name=name, supercategory="") for name in classes],
    )
    for image_id, image in enumerate(images, start=1):
        dataset["images"].append(
            dict(id=image_id, file_name=image.file_name, height=image.height, width=image.width)
        )
        for instance in image.instances:
            if instance.label not in ids:
                raise ValueError(
                    f"{image.file_name} has an object of class {instance.label!r}, which is not "
                    f"among {tuple(classes)}: correct its label, or add the class"
                )
            dataset["annotations"].append(
                dict(
                    id=len(dataset["annotations"]) + 1,
                    image_id=image_id,
                    category_id=ids[instance.label],
                    **_annotation(instance),
                )
            )
    return dataset


def split_images(
    images: Sequence[LabelmeImage], val_share: float, seed: int
) -> tuple[list[LabelmeImage], list[LabelmeImage]]:
    """Draw the validation images; the order of the others is kept.

    Args:
        images: at least two.
        val_share: part of the images, at least one and not all.
        seed: of the draw.

    Raises:
        ValueError: if there are too few images.
    """
    if len(images) < 2:
        raise ValueError(f"{len(images)} annotated image(s) cannot be split: give 2 or more")
    count = min(max(round(val_share * len(images)), 1), len(images) - 1)
    drawn = np.random.default_rng(seed).choice(len(images), count, replace=False)
    chosen = set(drawn.tolist())
    train = [image for index, image in enumerate(images) if index not in chosen]
    return train, [images[index] for index in sorted(chosen)]


def _annotation(instance: LabelmeInstance) -> dict[str, Any]:
    """Polygons, box and area."""
    corners = np.concatenate(instance.polygons)
    (x1, y1), (x2, y2) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return dict(
        segmentation=[np.round(polygon, 2).flatten().tolist() for polygon in instance.polygons],
        bbox=[round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)],
        area=round(sum(_area(polygon) for polygon in instance.polygons), 2),
        iscrowd=0,
    )


def _area(polygon: NDArray[np.float64]) -> float:
    """The shoelace formula."""
    x, y = polygon.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)
