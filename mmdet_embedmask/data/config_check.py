"""Checks of all data that a config names, without a model or a run."""

from collections.abc import Iterator
from typing import Any, get_args

from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from .box_check import Use
from .dataset_check import dataset_name, dataset_problems, reads_coco_files
from .problems import Problem


def check_config_data(config: Config, check_images: bool) -> Iterator[tuple[str, list[Problem]]]:
    """Check training, validation and test data of a config.

    Args:
        config: with ``train_dataloader``, ``val_dataloader``, ``test_dataloader`` or some of them.
        check_images: whether to look at the image files.

    Yields:
        Each data set in COCO's format, once for training and once for evaluation, with its
        problems.
    """
    init_default_scope(config.get("default_scope", "mmdet"))
    seen: set[tuple[bool, str]] = set()
    for use in get_args(Use):
        loader = config.get(f"{use}_dataloader")
        for part in _inner_configs(loader.dataset if loader else None):
            # Unread, so that a broken file is told of and not stumbled over.
            dataset = DATASETS.build({**part, "lazy_init": True})
            name = f"{use} data, {dataset_name(dataset)}"
            key = use == "train", f"{dataset.ann_file} {dataset.data_prefix} {dataset.metainfo}"
            if key not in seen and reads_coco_files(dataset):
                yield name, dataset_problems(dataset, use, check_images)
            seen.add(key)


def _inner_configs(dataset: Any) -> Iterator[dict[str, Any]]:
    """Yield the configs of the data sets inside wrappers (repeat, concat, ...)."""
    if dataset is None:
        return
    if "datasets" in dataset:
        for part in dataset["datasets"]:
            yield from _inner_configs(part)
    elif "dataset" in dataset:
        yield from _inner_configs(dataset["dataset"])
    else:
        yield dataset
