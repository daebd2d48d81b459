"""Checks of MMDetection's data sets in COCO's format: annotation file, then image files."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets import CocoDataset
from mmengine.dataset import BaseDataset
from mmengine.dist import all_gather_object, broadcast_object_list, get_dist_info
from mmengine.evaluator import BaseMetric

from .annotation_file import check_coco_file
from .category import check_categories
from .image_file import loaded_size
from .instance import Use
from .problems import Problem, ProblemCollector, has_errors, merge_problems, raise_errors, tolerate

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


def dataset_problems(
    dataset: CocoDataset, use: Use, check_images: bool = True, tolerated: Collection[str] = ()
) -> list[Problem]:
    """Check the annotation file and, if it is right, the images that the data set loads.

    To be called by all processes of a run: the main one reads the annotation file, each its share
    of the images, and all learn what was found.

    Args:
        dataset: one that `reads_coco_files`; it is loaded here, if its file is right.
        use: what it is for.
        check_images: whether to look at the image files.
        tolerated: kinds of errors in the annotation file that are only warnings here.

    Returns:
        Its problems, errors first.
    """
    rank, world_size = get_dist_info()
    found: list[list[Problem]] = [[]]
    if rank == 0:
        found = [tolerate(annotation_problems(dataset, use), tolerated)]
    broadcast_object_list(found)
    if not check_images or has_errors(found[0]):
        return found[0]
    # A process that waits for longer than its group's limit ends the run: none reads all images.
    dataset.full_init()
    first, end = (len(dataset) * share // world_size for share in (rank, rank + 1))
    parts = all_gather_object(image_problems(dataset, use, range(first, end)))
    return merge_problems([found[0], *parts])


def annotation_problems(dataset: CocoDataset, use: Use) -> list[Problem]:
    """Check the annotation file of a data set, which need not be loaded."""
    classes, by_name = dataset.metainfo["classes"], labels_by_name(dataset)
    return check_coco_file(Path(dataset.ann_file), classes, use, by_name)


def labels_by_name(part: BaseDataset | BaseMetric) -> bool:
    """Whether label k of a data set or metric is its k-th class: `data.coco_dataset`'s say so."""
    return getattr(part, "LABELS_BY_NAME", False)


def load_by_classes(dataset: BaseDataset) -> None:
    """Load a data set, and check that label k of one in COCO's format is its k-th class.

    Args:
        dataset: not loaded yet: a loaded one no longer knows the order of the file.

    Raises:
        ValueError: if the file has the classes in another order, and the data set goes by that.
    """
    if not reads_coco_files(dataset) or labels_by_name(dataset):
        dataset.full_init()
        return
    found, read = ProblemCollector(), dataset.COCOAPI

    def read_and_check(path: str) -> Any:
        api = read(path)
        categories = api.dataset["categories"]
        check_categories(categories, dataset.metainfo["classes"], found, labels_by_name=False)
        return api

    dataset.COCOAPI = read_and_check
    dataset.full_init()
    del dataset.COCOAPI
    raise_errors(found.problems(), dataset_name(dataset))


def image_problems(dataset: CocoDataset, use: Use, indices: Iterable[int]) -> list[Problem]:
    """Check that images can be loaded and have the size that the annotations are for.

    Args:
        dataset: loaded. Unless its pipeline begins with MMCV's own loader of local files, which
            reads with OpenCV, nothing is known of the images, and they are not looked at.
        use: what it is for.
        indices: of the images.

    Returns:
        Their problems, errors first.
    """
    found = ProblemCollector()
    transforms = dataset.pipeline.transforms
    if not transforms or not _reads_as_opencv(transforms[0]):
        return []
    kind = transforms[0].color_type
    turns, scales = "ignore_orientation" not in kind and kind != "unchanged", _scales(dataset)
    for index in indices:
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


def _reads_as_opencv(loader: Any) -> bool:
    """Whether a transform is MMCV's loading of local files, or inherits it, by OpenCV."""
    return (
        getattr(type(loader), "transform", None) is LoadImageFromFile.transform
        and loader.imdecode_backend == "cv2"
        and (loader.backend_args or {}).get("backend", "local") == "local"
    )


def _scales(dataset: Any) -> list[tuple[int, int]]:
    """The sizes that the pipeline's resizing fits images into, where it keeps their ratio."""
    scales: list[tuple[int, int]] = []
    for transform in dataset.pipeline.transforms:
        # The random ones hold a plain one.
        if getattr(getattr(transform, "resize", transform), "keep_ratio", False):
            given = getattr(transform, "scales", None) or getattr(transform, "scale", None) or ()
            scales += map(tuple, np.reshape(given, (-1, 2)).tolist())
    return scales
