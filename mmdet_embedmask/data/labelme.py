"""Annotations of labelme, one JSON file beside every image, as one file in COCO's format."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHAPES = ("polygon", "rectangle", "circle")

CIRCLE_POINTS = 64
"""Corners of the polygon that stands for a circle: 0.1% off at most."""


@dataclass(frozen=True)
class LabelmeInstance:
    """One object.

    Args:
        label: its class.
        polygons: its parts, each (N, 2) as (x, y) in pixels.
    """

    label: str
    polygons: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True)
class LabelmeImage:
    """One annotated image.

    Args:
        file_name: of the image, from the folder of its JSON file.
        height: in pixels.
        width: in pixels.
        instances: in the file's order.
    """

    file_name: str
    height: int
    width: int
    instances: tuple[LabelmeInstance, ...]


def read_labelme(path: Path) -> LabelmeImage:
    """Read one file.

    Shapes of one label and one group id are parts of one object.

    Raises:
        ValueError: naming the file and what is wrong with it.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        parts: dict[Any, tuple[str, list[NDArray[np.float64]]]] = {}
        for index, shape in enumerate(content["shapes"]):
            group = shape.get("group_id")
            key = ("single", index) if group is None else (shape["label"], group)
            label, polygons = parts.setdefault(key, (str(shape["label"]), []))
            polygons.append(_polygon(shape))
        return LabelmeImage(
            file_name=Path(content["imagePath"].replace("\\", "/")).name,
            height=int(content["imageHeight"]),
            width=int(content["imageWidth"]),
            instances=tuple(LabelmeInstance(k, tuple(v)) for k, v in parts.values()),
        )
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not an annotation file of labelme ({error!r})") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_labelme_files(paths: Iterable[Path]) -> list[LabelmeImage]:
    """Read files of one folder, one for each image.

    Raises:
        ValueError: naming a file and what is wrong with it, or two that annotate the same image.
    """
    images: dict[str, LabelmeImage] = {}
    files: dict[str, Path] = {}
    for path in paths:
        image = read_labelme(path)
        name = image.file_name
        if name in images:
            raise ValueError(
                f"{files[name]} and {path} both annotate {name}, which would make two images, "
                "perhaps one for training and one for validation: remove one, or correct its "
                "imagePath"
            )
        images[name], files[name] = image, path
    return list(images.values())


def annotated_classes(images: Iterable[LabelmeImage]) -> tuple[str, ...]:
    """All labels, sorted."""
    return tuple(sorted({instance.label for image in images for instance in image.instances}))


def coco_content(images: Sequence[LabelmeImage], classes: Sequence[str]) -> dict[str, Any]:
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


def _polygon(shape: dict[str, Any]) -> NDArray[np.float64]:
    """Corners (N, 2) of a shape."""
    kind, points = shape.get("shape_type", "polygon"), np.array(shape["points"], dtype=np.float64)
    if kind not in SHAPES:
        raise ValueError(
            f"a shape of class {shape['label']!r} is a {kind}: redraw it as one of {SHAPES}"
        )
    least = 3 if kind == "polygon" else 2
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < least:
        raise ValueError(
            f"a {kind} of class {shape['label']!r} has {len(points)} points and needs {least}: "
            "redraw or remove it"
        )
    if not np.isfinite(points).all():
        raise ValueError(f"a {kind} of class {shape['label']!r} has a point that is no number")
    if kind == "rectangle":
        (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
        return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
    if kind == "circle":
        center, edge = points[:2]
        angles = np.linspace(0, 2 * np.pi, CIRCLE_POINTS, endpoint=False)
        radius = np.linalg.norm(edge - center)
        corners: NDArray[np.float64] = center + radius * np.stack(
            [np.cos(angles), np.sin(angles)], axis=1
        )
        return corners
    return points


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
