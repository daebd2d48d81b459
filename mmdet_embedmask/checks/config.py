"""Checks of all data that a config names, without a model or a run."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, get_args

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import EVALUATOR, init_default_scope

from .annotation_file import NO_INSTANCE
from .dataset import dataset_name, dataset_problems, reads_coco_files
from .instance import Use
from .metric import ann_file_of, metric_problems
from .parts import measured_datasets, tolerated_errors
from .problems import Problem, has_errors

Checked = tuple[str, list[Problem]]
"""What was checked, and its problems."""


def check_config_data(config: Config, check_images: bool) -> Iterator[Checked]:
    """Check training, validation and test data of a config, and the files they are measured by.

    Args:
        config: with ``train_dataloader``, ``val_dataloader``, ``test_dataloader`` or some of them.
        check_images: whether to look at the image files.

    Yields:
        Each data set in COCO's format, once for training and once for evaluation, with its
        problems; then whatever else has some.
    """
    init_default_scope(config.get("default_scope", "mmdet"))
    seen: set[str] = set()
    for use in get_args(Use):
        loader = config.get(f"{use}_dataloader")
        measure = None if use == "train" else config.get(f"{use}_evaluator")
        if loader:
            yield from _check_use(
                loader.dataset, measure, use, check_images=check_images, seen=seen
            )


def _check_use(
    dataset_config: Any, measure: Any, use: Use, *, check_images: bool, seen: set[str]
) -> Iterator[Checked]:
    """Check the data sets of one use that are not in ``seen``, and their evaluator."""
    try:
        evaluator = _build_evaluator(measure)
    except Exception as error:  # whatever is wrong with its file
        yield f"{use}_evaluator", [_failure("it cannot be built", error)]
        evaluator = Evaluator([])
    parts = list(measured_datasets(dataset_config, evaluator))
    background = []
    for part, metrics in parts:
        # Not read yet: a broken file is reported below and does not fail here.
        dataset = DATASETS.build({**part, "lazy_init": True})
        key = f"{use == 'train'} {part} {measure}"
        if key in seen:
            continue
        seen.add(key)
        problems: list[Problem] = []
        if reads_coco_files(dataset):
            tolerated = tolerated_errors(dataset, use, len(parts), metrics)
            problems = _load_and_check(dataset, use, check_images, tolerated)
            yield f"{use} data, {dataset_name(dataset)}", problems
            if not has_errors(problems):
                yield from _check_metrics(metrics, dataset, use)
        background.append(any(problem.kind == NO_INSTANCE for problem in problems))
    if len(parts) > 1 and background and all(background):
        yield f"{use} data", [Problem(NO_INSTANCE, True, 1, ("none of the data sets has any",))]


def _build_evaluator(config: Any) -> Evaluator:
    """As MMEngine's runner does."""
    if isinstance(config, dict) and "metrics" in config:
        return EVALUATOR.build({"type": "Evaluator", **config})
    return Evaluator(config or [])


def _load_and_check(
    dataset: CocoDataset, use: Use, check_images: bool, tolerated: Collection[str]
) -> list[Problem]:
    try:
        problems = dataset_problems(dataset, use, check_images, tolerated)
        if not has_errors(problems):
            dataset.full_init()
    except Exception as error:  # of MMDetection or a type of the user's
        return [_failure("it cannot be loaded", error)]
    return problems


def _check_metrics(metrics: Sequence[Any], dataset: CocoDataset, use: Use) -> Iterator[Checked]:
    for metric in metrics:
        if problems := metric_problems(metric, dataset):
            yield f"{use}_evaluator, {ann_file_of(metric)}", problems


def _failure(what: str, error: Exception) -> Problem:
    return Problem(f"{what}: {error}", True, 1, (type(error).__name__,))
