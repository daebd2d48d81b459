"""Training runs that a tool starts one after the other: what each left, and which are finished."""

import json
import statistics
import subprocess  # nosec B404: our own training tool, without a shell
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..files import write_json
from ..release.run_record import read_scalars, scalar_files
from .peak_memory import peak_resident_memory

BOX_AP, MASK_AP = "coco/bbox_mAP", "coco/segm_mAP"

DONE = "done.json"
"""Written into a run's folder once it has ended, with its options and metrics."""

SECONDS_BETWEEN_READINGS = 0.2


def run_training(command: Sequence[str], work_dir: Path) -> int:
    """Run a training command; what it prints goes into a file beside its results.

    Returns:
        Largest resident memory of its process in bytes; 0 where the system does not tell.

    Raises:
        ValueError: naming the file, if the command fails.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    log = work_dir / "output.txt"
    with log.open("w", encoding="utf-8") as output:
        with subprocess.Popen(  # nosec B603
            [*command], stdout=output, stderr=subprocess.STDOUT
        ) as process:
            try:
                peak = _watch(process)
            except BaseException:
                process.kill()
                raise
    if process.returncode:
        raise ValueError(f"{work_dir}: training ended with code {process.returncode}, see {log}")
    return peak


def _watch(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process and read its peak memory while it lives.

    What the system tells of an ended process begins with its parent's memory.
    """
    peak = 0
    while process.poll() is None:
        with suppress(OSError):
            peak = peak_resident_memory(process.pid)
        time.sleep(SECONDS_BETWEEN_READINGS)
    return peak


def final_metrics(work_dir: Path) -> dict[str, float]:
    """Box and mask AP (0 to 1) of the last evaluation of the newest run below ``work_dir``.

    Returns:
        MASK_AP, and BOX_AP where boxes were evaluated.

    Raises:
        ValueError: if masks were not evaluated.
    """
    evaluated = [line for line in _scalars(work_dir) if MASK_AP in line]
    if not evaluated:
        raise ValueError(
            f"{work_dir}: training did not end with a mask AP, see {work_dir / 'output.txt'}"
        )
    return {name: float(evaluated[-1][name]) for name in (BOX_AP, MASK_AP) if name in evaluated[-1]}


def mask_ap_curve(work_dir: Path) -> list[tuple[int, float]]:
    """Iteration and mask AP (0 to 1) of every evaluation of the newest run below ``work_dir``."""
    return [
        (int(line["step"]), float(line[MASK_AP])) for line in _scalars(work_dir) if MASK_AP in line
    ]


def seconds_per_iteration(work_dir: Path) -> float:
    """Median time of an iteration, data loading in, of the newest run below ``work_dir``.

    Raises:
        ValueError: if that run logged no iteration.
    """
    times = [float(line["time"]) for line in _scalars(work_dir) if "loss" in line]
    if not times:
        raise ValueError(f"{work_dir}: no iteration was logged, set default_hooks.logger.interval")
    return statistics.median(times)


def gpu_memory(work_dir: Path) -> int | None:
    """Largest memory that torch held on the GPU in bytes; None for a run without one."""
    megabytes = [line["memory"] for line in _scalars(work_dir) if "memory" in line]
    return max(megabytes) * 2**20 if megabytes else None


def _scalars(work_dir: Path) -> list[dict[str, Any]]:
    """What the newest run below ``work_dir`` has logged."""
    logs = scalar_files(work_dir)
    return read_scalars(logs[-1]) if logs else []


def finished_run(work_dir: Path, options: Sequence[str]) -> dict[str, float] | None:
    """What a run has ended with; None if it was not run, or was interrupted.

    Args:
        work_dir: of the run.
        options: that it must have been run with.

    Raises:
        ValueError: if it was run with others.
    """
    done = work_dir / DONE
    if not done.exists():
        return None
    content = json.loads(done.read_text())
    if content["options"] != list(options):
        raise ValueError(
            f"{work_dir} holds a run with other options (they stand in {done}): take another "
            "--work-dir, or remove that folder"
        )
    metrics: dict[str, float] = content["metrics"]
    return metrics


def write_finished(work_dir: Path, options: Sequence[str], metrics: dict[str, float]) -> None:
    """Mark a run as finished, for `finished_run`."""
    write_json(work_dir / DONE, dict(options=list(options), metrics=metrics))


def mean_and_spread(values: Sequence[float], scale: float = 1.0, digits: int = 1) -> str:
    """Mean and, of several values, lowest to highest: '41.2 (40.1 to 42.0)'; 'none' of none."""
    if not values:
        return "none"
    mean, lowest, highest = (
        f"{scale * figure:.{digits}f}"
        for figure in (statistics.mean(values), min(values), max(values))
    )
    return mean if len(values) == 1 else f"{mean} ({lowest} to {highest})"
