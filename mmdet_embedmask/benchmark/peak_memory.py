"""Peak memory: resident in a process, as Linux counts it, or on a GPU, as torch allocates it."""

import gc
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch

_P = ParamSpec("_P")
_T = TypeVar("_T")

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


class PeakMemory:
    """The largest memory since this was made, beyond what was held then.

    On a GPU torch counts when the host asks for memory, so nothing has to wait for the GPU.

    Args:
        on_gpu: what torch allocates there, without what its caching allocator keeps for later;
            otherwise what this process holds.

    Raises:
        OSError: where the system does not tell.
    """

    def __init__(self, *, on_gpu: bool) -> None:
        self._on_gpu = on_gpu
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
        else:
            reset_peak()
            self._before = resident_memory()

    def so_far(self) -> int:
        """Bytes."""
        peak = torch.cuda.max_memory_allocated() if self._on_gpu else peak_resident_memory()
        return peak - self._before


def peak_of(run: Callable[[], object], *, on_gpu: bool) -> int:
    """Bytes that a call needs at most, its result included: see `PeakMemory`."""
    memory = PeakMemory(on_gpu=on_gpu)
    result = run()
    peak = memory.so_far()
    del result  # it counts
    return peak


def free_memory() -> None:
    """Give back to the GPU what no object holds any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def in_new_process(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call a function in a process where nothing ran before: memory that was kept hides a peak.

    Args:
        function: can be pickled, and so can its arguments.
        args: of the function.
        kwargs: of the function.

    Returns:
        What the function returns.
    """
    context = multiprocessing.get_context("spawn")
    with _environment(MALLOC_SETTINGS), ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args, **kwargs).result()


def with_threads(
    threads: int, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
) -> _T:
    """Call a function with this many CPU threads: a new process does not inherit the number."""
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
