"""Checks of a run's annotation and image files, and of what it evaluates them with."""

import logging
from collections.abc import Collection, Iterable, Sequence
from itertools import product

from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from ..checks.dataset import dataset_name, dataset_problems, reads_coco_files
from ..checks.instance import Use
from ..checks.metric import ann_file_of, metric_problems
from ..checks.problems import raise_errors


def check_data_files(
    datasets: Iterable[BaseDataset],
    use: Use,
    check_images: bool,
    tolerated: Collection[str] = (),
) -> None:
    """Check the files of all data sets that are in COCO's format; warnings are logged.

    Args:
        datasets: of any format.
        use: what they are for.
        check_images: whether to look at the image files.
        tolerated: kinds of errors in annotation files that are only warnings here.

    Raises:
        ValueError: if a data set cannot be used, with all reasons.
    """
    for dataset in filter(reads_coco_files, datasets):
        problems = dataset_problems(dataset, use, check_images, tolerated)
        raise_errors(problems, dataset_name(dataset))
        for problem in problems:
            print_log(
                f"{dataset_name(dataset)}: {problem}", logger="current", level=logging.WARNING
            )


def check_same_classes(learned: Sequence[BaseDataset], evaluated: Sequence[BaseDataset]) -> None:
    """Check that all data sets call label 0, 1, ... by the same names.

    Raises:
        ValueError: naming the two that do not.
    """
    first = learned[0]
    for other in [*learned[1:], *evaluated]:
        classes, others = first.metainfo.get("classes"), other.metainfo.get("classes")
        if classes is not None and others is not None and tuple(classes) != tuple(others):
            raise ValueError(
                f"{dataset_name(first)} has classes {tuple(classes)}, but {dataset_name(other)} "
                f"has {tuple(others)}: set metainfo=dict(classes=...) of both to the same names in "
                "the same order"
            )


def check_evaluated_images(datasets: Iterable[BaseDataset], metrics: Iterable[BaseMetric]) -> None:
    """Check that the evaluators' annotation files hold the images that are predicted on.

    Raises:
        ValueError: if one does not, which would end the first evaluation in an error, or if it
            calls labels by other names.
    """
    for dataset, metric in product(datasets, metrics):
        raise_errors(metric_problems(metric, dataset), ann_file_of(metric))
