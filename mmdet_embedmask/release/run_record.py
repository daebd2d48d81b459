"""What a training run has left beside its checkpoints."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import ConfigDict

EVALUATED = "coco/"
"""Begins the name of every figure of CocoMetric."""


@dataclass(frozen=True)
class RunRecord:
    """The part of a run's folder that belongs to one checkpoint.

    Args:
        metrics: COCO's figures of the evaluation at the checkpoint, by name; 0 to 1, or -1 where
            there is nothing to measure.
        log: the log as text; None for a checkpoint that no run has left, such as a converted one.
        scalars: the figures of the log, one JSON object a line; None where there is no log.
        memory: the most that torch held on the GPU in MB; None for a run without one.
    """

    metrics: dict[str, float]
    log: Path | None = None
    scalars: Path | None = None
    memory: int | None = None


def scalar_files(work_dir: Path) -> list[Path]:
    """Figures that MMEngine's runner logged: a file for every start of a run, the newest last."""
    return sorted(work_dir.glob("*/vis_data/scalars.json"))


def read_scalars(path: Path) -> list[dict[str, Any]]:
    """The lines of one of `scalar_files`, a JSON object of figures each."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def read_run(work_dir: Path, iteration: int, metrics: Path | None = None) -> RunRecord:
    """Find log and evaluation of a checkpoint.

    Args:
        work_dir: of the run, with a folder for every start of it.
        iteration: after which the checkpoint was saved.
        metrics: a JSON file that ``tools/test.py`` wrote for the checkpoint, instead of what
            training evaluated.

    Raises:
        ValueError: if there is no log, or no evaluation at that iteration.
    """
    scalars = scalar_files(work_dir)
    if not scalars:
        raise ValueError(
            f"{work_dir} holds no training log (*/vis_data/scalars.json): give the run's folder "
            "with --work-dir"
        )
    given = None if metrics is None else read_metrics(metrics)
    for path in reversed(scalars):
        lines = read_scalars(path)
        found = given or _evaluation_at(lines, iteration)
        trained = any("loss" in line for line in lines)
        log = path.parents[1] / f"{path.parents[1].name}.log"
        if found and trained and log.is_file():
            memory = [line["memory"] for line in lines if "memory" in line]
            return RunRecord(found, log, path, max(memory, default=None))
    raise ValueError(
        f"{work_dir} holds no evaluation of iteration {iteration}: run tools/test.py on the "
        "checkpoint and give the JSON file that it writes with --metrics"
    )


def read_metrics(path: Path) -> dict[str, float]:
    """COCO's figures in a JSON file that ``tools/test.py`` wrote.

    Raises:
        ValueError: if there are none.
    """
    try:
        figures = _coco_figures(json.loads(path.read_text()))
    # It is other JSON, or none at all.
    except (ValueError, TypeError, AttributeError):
        figures = {}
    if not figures:
        raise ValueError(f"{path} holds no figure of COCO ({EVALUATED}...): give test.py's file")
    return figures


def evaluates_at(train_cfg: ConfigDict, epoch: int, iteration: int) -> bool:
    """Whether a training loop evaluates when it saves a checkpoint at this epoch and iteration."""
    done, last = (
        (epoch, train_cfg.get("max_epochs"))
        if train_cfg.get("by_epoch") or "max_epochs" in train_cfg
        else (iteration, train_cfg.get("max_iters"))
    )
    evaluates: bool = done == last or done % train_cfg.get("val_interval", 1) == 0
    return evaluates


def _evaluation_at(lines: list[dict[str, Any]], iteration: int) -> dict[str, float] | None:
    """Figures of the evaluation after an iteration; None if there was none.

    MMEngine does not write the iteration beside them, but training lines before and after do.
    """
    found = [
        line
        for before, line, after in _evaluations(lines)
        # At the end of a log, only its last line tells how far training had come.
        if before == iteration or (after is not None and before < iteration < after)
    ]
    # Several between two lines cannot be told apart.
    return _coco_figures(found[0]) if len(found) == 1 else None


def _evaluations(
    lines: list[dict[str, Any]],
) -> Iterator[tuple[int, dict[str, Any], int | None]]:
    """Every evaluation with the last iteration that was logged before it, and the next after it."""
    trained = [(place, int(line["step"])) for place, line in enumerate(lines) if "loss" in line]
    for place, line in enumerate(lines):
        if not _coco_figures(line):
            continue
        before = [iteration for where, iteration in trained if where < place]
        after = [iteration for where, iteration in trained if where > place]
        yield (before[-1] if before else 0), line, (after[0] if after else None)


def _coco_figures(line: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in line.items() if name.startswith(EVALUATED)}
