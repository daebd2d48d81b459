"""Checks of a metric that has an annotation file of its own: whether it fits the data set."""

from collections.abc import Sequence

from mmdet.evaluation import CocoMetric
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric

from .category import check_categories
from .dataset import dataset_name, labels_by_name, reads_coco_files
from .problems import Problem, ProblemCollector, raise_errors, shown


def check_metric_labels(metric: BaseMetric, classes: Sequence[str]) -> None:
    """Check that a metric calls labels by the names that a data set has for them.

    Args:
        metric: any; only a CocoMetric with a file of its own is looked into.
        classes: of the data set.

    Raises:
        ValueError: if the file lacks a class or has it twice, or if it has them in another order
            and the metric goes by that.
    """
    if isinstance(metric, CocoMetric) and metric._coco_api is not None:
        found = ProblemCollector()
        _check_labels(metric, classes, found)
        raise_errors(found.problems(), ann_file_of(metric))


def metric_problems(metric: BaseMetric, dataset: BaseDataset) -> list[Problem]:
    """Check that a metric's file names labels as the data set does, and holds its images.

    Args:
        metric: any; only a CocoMetric with a file of its own is looked into.
        dataset: loaded; its images are looked for if it `reads_coco_files`.

    Returns:
        The problems of the metric's file.
    """
    found = ProblemCollector()
    if isinstance(metric, CocoMetric) and metric._coco_api is not None:
        if classes := dataset.metainfo.get("classes"):
            _check_labels(metric, classes, found)
        for index in range(len(dataset)) if reads_coco_files(dataset) else ():
            identity = dataset.get_data_info(index)["img_id"]
            if identity not in metric._coco_api.imgs:
                found.error(
                    f"it lacks images of {dataset_name(dataset)}: set val_evaluator.ann_file and "
                    "test_evaluator.ann_file to the file that the data set reads",
                    f"image {shown(identity)}",
                )
    return found.problems()


def _check_labels(metric: CocoMetric, classes: Sequence[str], found: ProblemCollector) -> None:
    categories = metric._coco_api.dataset["categories"]
    check_categories(categories, classes, found, labels_by_name(metric))


def ann_file_of(metric: BaseMetric) -> str:
    """How messages call the file, of which the metric keeps the content, but not the path."""
    return f"{type(metric).__name__}'s ann_file"
