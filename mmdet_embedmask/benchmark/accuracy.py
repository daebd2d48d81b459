"""Accuracy of several detectors at the same training budget on one data set."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.runner import Runner

from ..loading import quiet_logger
from ..tables import markdown_table
from .clocks import clock_for, milliseconds
from .training_runs import (
    BOX_AP,
    MASK_AP,
    final_metrics,
    gpu_memory,
    mean_and_spread,
    seconds_per_iteration,
)
from .turns import take_turns

ITERATIONS, SECONDS, MEMORY = "iterations", "seconds_per_iteration", "peak_memory_bytes"

TIMED_STEPS = 20
"""Iterations of each detector of which `iterations_for` takes the median."""


@dataclass(frozen=True)
class CocoSplit:
    """One split of a data set in COCO's format.

    Args:
        annotations: JSON file.
        images: folder of the images that it names.
    """

    annotations: Path
    images: Path

    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the file."""
        content = json.loads(self.annotations.read_text(encoding="utf-8"))
        return tuple(category["name"] for category in content["categories"])


def use_data_set(config: Config, train: CocoSplit, val: CocoSplit) -> None:
    """Let a config train and be evaluated on another data set.

    Args:
        config: changed in place, ``num_classes`` of its model too.
        train: training split; its classes are learned.
        val: evaluation split.
    """
    classes = train.classes()
    for loader, split in (("train", train), ("val", val), ("test", val)):
        config[f"{loader}_dataloader"].dataset.update(
            data_root="",
            ann_file=str(split.annotations),
            data_prefix=dict(img=f"{split.images}/"),
            metainfo=dict(classes=classes),
        )
    for evaluator in (config.val_evaluator, config.test_evaluator):
        evaluator.ann_file = str(val.annotations)
    _set_num_classes(config.model, len(classes))


def _set_num_classes(part: Any, number: int) -> None:
    """Set ``num_classes`` wherever a config's part, or one within it, has it."""
    if isinstance(part, dict):
        if "num_classes" in part:
            part["num_classes"] = number
        part = list(part.values())
    if isinstance(part, (list, tuple)):
        for child in part:
            _set_num_classes(child, number)


def set_iterations(config: Config, iterations: int) -> None:
    """Train for another number of iterations, the schedule stretched alike.

    Args:
        config: of a schedule that counts iterations; changed in place.
        iterations: at least 1.

    Raises:
        ValueError: if the config's schedule counts epochs.
    """
    if "max_iters" not in config.train_cfg:
        raise ValueError(
            "--iterations needs a config whose train_cfg counts iterations "
            f"(max_iters), not {config.train_cfg}"
        )
    stretch = iterations / config.train_cfg.max_iters
    config.train_cfg.update(max_iters=iterations, val_interval=iterations)
    for scheduler in config.param_scheduler:
        for name in ("begin", "end", "T_max"):
            if name in scheduler:
                scheduler[name] = ceil(stretch * scheduler[name])
        if "milestones" in scheduler:
            scheduler.milestones = [ceil(stretch * step) for step in scheduler.milestones]


def iterations_for(
    configs: dict[str, Config], seconds: float, *, runs: int = TIMED_STEPS, warmup: int = 3
) -> dict[str, int]:
    """Iterations that each config gets through in the same time on this machine.

    The first iterations of all are timed, data loading in, in turns and one at a time.

    Args:
        configs: by name.
        seconds: of training.
        runs: timed iterations of each.
        warmup: iterations of each before those.

    Raises:
        ValueError: if a config does not get through one iteration in that time.
    """
    clock = clock_for(torch.device(get_device()))
    steps = {name: partial(milliseconds, FirstSteps(c).step, clock) for name, c in configs.items()}
    times = take_turns(steps, runs, warmup)
    iterations = {name: int(1000 * seconds / median(times[name])) for name in configs}
    for name, number in iterations.items():
        if number < 1:
            raise ValueError(
                f"{name} takes {median(times[name]) / 1000:.2f} s an iteration: "
                f"--seconds {seconds:g} is not enough for one"
            )
    return iterations


class FirstSteps:
    """The first training steps of a config, on its own data.

    Args:
        config: of a detector.
    """

    def __init__(self, config: Config) -> None:
        torch.manual_seed(0)
        with quiet_logger(logging.ERROR):
            self.loader = Runner.build_dataloader(config.train_dataloader.copy(), seed=0)
            self.model: BaseModel = MODELS.build(config.model)
            self.model.init_weights()
            self.model.to(get_device()).train()
            self.optimizer: OptimWrapper = build_optim_wrapper(
                self.model, config.optim_wrapper.copy()
            )
        self.batches = iter(self.loader)

    def step(self) -> None:
        """One iteration, its batch read from the data set."""
        try:
            batch = next(self.batches)
        except StopIteration:
            self.batches = iter(self.loader)
            batch = next(self.batches)
        self.model.train_step(batch, self.optimizer)


def training_budget(config: Config, by_the_clock: bool) -> dict[str, Any]:
    """What must be equal for the accuracies of two configs to be comparable."""
    budget = dict(
        batch_size=config.train_dataloader.batch_size,
        annotations=config.train_dataloader.dataset.ann_file,
    )
    return budget if by_the_clock else dict(train_cfg=config.train_cfg.to_dict()) | budget


def check_equal_budgets(configs: dict[str, Config], by_the_clock: bool = False) -> None:
    """Check that all configs train as long on the same data.

    Args:
        configs: by name.
        by_the_clock: iterations may differ, as each gets its own for the same time.

    Raises:
        ValueError: naming two that do not.
    """
    budgets = {name: training_budget(config, by_the_clock) for name, config in configs.items()}
    (first, budget), *others = budgets.items()
    for name, other in others:
        if other != budget:
            raise ValueError(
                f"{first} trains with {budget}, but {name} with {other}: make them equal with "
                "--iterations, --batch-size, --train and --val"
            )


def read_result(work_dir: Path, peak_resident: int) -> dict[str, float]:
    """What a finished run reached and cost.

    Args:
        work_dir: of the run.
        peak_resident: of its process, in bytes; taken where there was no GPU.

    Returns:
        MASK_AP (0 to 1), BOX_AP where the detector gives boxes, SECONDS and MEMORY.

    Raises:
        ValueError: if the run was not evaluated.
    """
    gpu = gpu_memory(work_dir)
    return final_metrics(work_dir) | {
        SECONDS: seconds_per_iteration(work_dir),
        MEMORY: peak_resident if gpu is None else gpu,
    }


def accuracy_table(results: dict[str, Sequence[dict[str, float]]]) -> str:
    """Markdown table: mean and, of several seeds, lowest to highest.

    Args:
        results: of each detector one `read_result` a seed, and its ITERATIONS.
    """
    header = ["detector", "runs", "box AP", "mask AP", "iterations", "s / iteration"]
    header += ["peak memory (GB)"]
    columns = (
        (BOX_AP, 100, 1),
        (MASK_AP, 100, 1),
        (ITERATIONS, 1, 0),
        (SECONDS, 1, 2),
        (MEMORY, 1e-9, 2),
    )
    rows = []
    for name, runs in results.items():
        cells = [
            mean_and_spread([run[column] for run in runs if column in run], scale, digits)
            for column, scale, digits in columns
        ]
        rows.append([name, str(len(runs)), *cells])
    return markdown_table(header, rows)
