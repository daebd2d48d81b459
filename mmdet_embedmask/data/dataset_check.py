"""Checks of MMDetection's data sets in COCO's format: annotation file, then image files."""

from pathlib import Path
from typing import Any

import mmcv
import numpy as np
from mmdet.datasets import CocoDataset
from mmengine.dataset import BaseDataset

from .annotation_check import check_coco_file
from .box_check import Use
from .image_files import loaded_size
from .problems import Problem, ProblemCollector

TURNED = (
    " (turned by EXIF data? Images annotated unturned are for "
    "LoadImageFromFile(color_type='color_ignore_orientation'))"
)


def reads_coco_files(dataset: BaseDataset) -> bool:
    """Whether a data set reads files in COCO's format from this machine, as `CocoDataset` does."""
    if not isinstance(dataset, CocoDataset):
        return False
    # LVIS and others inherit from CocoDataset, but read other formats.
    own = ("load_data_list", "parse_data_info")
    if any(getattr(type(dataset), name) is not getattr(CocoDataset, name) for name in own):
        return False
    return (dataset.backend_args or {}).get("backend", "local") == "local" and "://" not in (
        f"{dataset.ann_file}{dataset.data_prefix.get('img', '')}"
    )


def dataset_name(dataset: BaseDataset) -> str:
    """How messages call a data set, of COCO's format or not: its type and file."""
    return f"{type(dataset).__name__} ({getattr(dataset, 'ann_file', '')})"


def dataset_problems(dataset: CocoDataset, use: Use, check_images: bool = True) -> list[Problem]:
    """Check the annotation file and, if it is right, the images that the data set loads.

    Args:
        dataset: one that `reads_coco_files`; loaded if it is not yet and its file is right.
        use: what it is for.
        check_images: whether to look at the image files.

    Returns:
        Its problems, errors first.
    """
    problems = annotation_problems(dataset, use)
    if check_images and not any(problem.is_error for problem in problems):
        dataset.full_init()
        problems = sorted([*problems, *_image_problems(dataset, use)], key=lambda p: not p.is_error)
    return problems


def annotation_problems(dataset: CocoDataset, use: Use) -> list[Problem]:
    """Check the annotation file of a data set, which need not be loaded."""
    return check_coco_file(Path(dataset.ann_file), dataset.metainfo["classes"], use)


def _image_problems(dataset: CocoDataset, use: Use) -> list[Problem]:
    """Check that the images can be loaded and have the size that the annotations are for."""
    found = ProblemCollector()
    turns, scales = _turns_images(dataset), _scales(dataset)
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        path = Path(info["img_path"])
        try:
            height, width = loaded_size(path, turns)
        except ValueError as error:
            found.error(f"an image {error}", str(path))
            continue
        if use == "train" and min(height, width) == 1:
            found.error(
                "an image is one pixel wide or high, which MMDetection cannot flip: remove it, or "
                "set filter_cfg=dict(min_size=2)",
                str(path),
            )
        if any(0 in mmcv.rescale_size((width, height), scale) for scale in scales):
            found.error(
                "an image is so long that resizing leaves no pixel of its shorter side: cut it up",
                f"{path}: {width} x {height}",
            )
        if (height, width) != (info["height"], info["width"]):
            swapped = (width, height) == (info["height"], info["width"])
            found.error(
                "an image has another size than the annotation file says"
                + (TURNED if swapped else "")
                + ": annotate images as they are loaded, and write their height and width",
                f"{path}: loaded {width} x {height}, file says {info['width']} x {info['height']}",
            )
    return found.problems()


def _turns_images(dataset: Any) -> bool:
    """Whether the pipeline turns images as their EXIF data say."""
    kinds = [getattr(t, "color_type", None) for t in dataset.pipeline.transforms]
    return not any("ignore_orientation" in kind or kind == "unchanged" for kind in kinds if kind)


def _scales(dataset: Any) -> list[tuple[int, int]]:
    """The sizes that the pipeline's resizing fits images into, where it keeps their ratio."""
    scales: list[tuple[int, int]] = []
    for transform in dataset.pipeline.transforms:
        # The random ones hold a plain one.
        if getattr(getattr(transform, "resize", transform), "keep_ratio", False):
            given = getattr(transform, "scales", None) or getattr(transform, "scale", None) or ()
            scales += map(tuple, np.reshape(given, (-1, 2)).tolist())
    return scales
