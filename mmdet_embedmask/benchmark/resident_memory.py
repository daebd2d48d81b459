"""Resident memory of a process, as Linux counts it."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")

PROC = Path("/proc")

MALLOC_SETTINGS = {"MALLOC_MMAP_THRESHOLD_": "65536"}
"""Of glibc: larger blocks are the system's again as soon as they are freed. Otherwise it learns
from the first blocks which ones to keep, and peaks of the same work differ by tens of megabytes."""


def resident_memory(pid: int | str = "self") -> int:
    """Memory in bytes that the process holds now.

    Raises:
        OSError: where there is no such process, or no Linux.
    """
    return _status(pid, "VmRSS")


def peak_resident_memory(pid: int | str = "self") -> int:
    """Largest memory in bytes that the process has held since its start, or the last reset.

    Raises:
        OSError: where there is no such process, or no Linux.
    """
    return _status(pid, "VmHWM")


def reset_peak() -> None:
    """Let this process's peak begin anew, at what it holds now.

    Raises:
        OSError: where the system does not allow it.
    """
    (PROC / "self" / "clear_refs").write_text("5")


def peak_of(run: Callable[[], object]) -> int:
    """Largest resident memory of this process in a call, in bytes beyond what it held before.

    Raises:
        OSError: where the system does not tell.
    """
    reset_peak()
    before = resident_memory()
    result = run()
    peak = peak_resident_memory() - before
    del result  # it counts
    return peak


def in_new_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function where nothing has run before: memory that is kept for later hides a peak.

    Args:
        function: that can be pickled, as its arguments.
        args: of the function.
        kwargs: of the function.

    Returns:
        What the function does.
    """
    context = multiprocessing.get_context("spawn")
    with _environment(MALLOC_SETTINGS), ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args, **kwargs).result()


def with_threads(threads: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function with so many CPU threads of torch, which a new process does not inherit."""
    torch.set_num_threads(threads)
    return function(*args, **kwargs)


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    """Set environment variables for processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _status(pid: int | str, name: str) -> int:
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has ended")
