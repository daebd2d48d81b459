"""Accuracy of several detectors at the same training budget on one data set."""

import itertools
import json
import logging
from collections.abc import Sequence
from copy import deepcopy
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
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from ..loading import quiet_logger
from ..tables import markdown_table
from .clocks import clock_for, milliseconds
from .peak_memory import free_memory
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

TURNS, UNTIMED_STEPS, TIMED_STEPS = 2, 3, 10
"""How often `iterations_for` lets each detector begin to train; its steps before and in time."""


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
            "--iterations and --seconds need configs whose train_cfg counts iterations "
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


def iterations_for(configs: dict[str, Config], seconds: float) -> dict[str, int]:
    """Iterations that each config gets through in the same time on this machine.

    The first iterations of all are timed, data loading in: TURNS times after each other, each alone
    on the machine.

    Args:
        configs: by name; they stay as they are.
        seconds: of training.

    Raises:
        ValueError: if a config does not get through one iteration in that time.
    """
    steps = {name: partial(first_steps, config) for name, config in configs.items()}
    turns = take_turns(steps, TURNS, warmup=0)
    free_memory()  # the trainings are other processes
    iterations = {}
    for name, times in turns.items():
        milliseconds_each = median(itertools.chain(*times))
        iterations[name] = int(1000 * seconds / milliseconds_each)
        if iterations[name] < 1:
            raise ValueError(
                f"{name} takes {milliseconds_each / 1000:.2f} s an iteration: "
                f"--seconds {seconds:g} is not enough for one"
            )
    return iterations


def first_steps(config: Config) -> list[float]:
    """Milliseconds of the first TIMED_STEPS training steps of a config, on its own data.

    Args:
        config: of a detector; it stays as it is.
    """
    config = deepcopy(config)  # a detector writes into the configs of its heads
    init_default_scope(config.get("default_scope", "mmdet"))
    torch.manual_seed(0)
    device = torch.device(get_device())
    with quiet_logger(logging.ERROR):
        loader = Runner.build_dataloader(config.train_dataloader, seed=0)
        model: BaseModel = MODELS.build(config.model)
        model.init_weights()
        model.to(device).train()
        optimizer: OptimWrapper = build_optim_wrapper(model, config.optim_wrapper)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))

    def step() -> None:
        model.train_step(next(batches), optimizer)

    for _ in range(UNTIMED_STEPS):
        step()
    clock = clock_for(device)
    return [milliseconds(step, clock) for _ in range(TIMED_STEPS)]


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
