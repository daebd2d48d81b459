"""Clocks that take the times between the stages of a run, on CPU and on GPU."""

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

import torch


class Clock(Protocol):
    """Takes a time at each mark and gives the intervals between marks at the end of the run."""

    def mark(self) -> None:
        """Take a time: the end of one stage and the start of the next."""

    def intervals(self) -> list[float]:
        """Milliseconds between the marks since the last call; forgets the marks."""


class WallClock:
    """A clock for work that is done when its function returns.

    Args:
        now: gives the time in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._marks: list[float] = []

    def mark(self) -> None:
        """Take a time."""
        self._marks.append(self._now())

    def intervals(self) -> list[float]:
        """Milliseconds between the marks since the last call; forgets the marks."""
        marks, self._marks = self._marks, []
        return [(end - start) * 1000 for start, end in pairwise(marks)]


class CudaClock:
    """A clock that travels in the GPU's queue, so that stages need not wait for each other.

    Work of the host between two marks counts too: the GPU takes the later time when it reaches the
    later mark, which the host has put into the queue after its work.

    Args:
        device: a CUDA device; its current stream is timed.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._marks: list[torch.cuda.Event] = []

    def mark(self) -> None:
        """Put an event into the queue."""
        if not self._marks:
            # Otherwise the first stage would be given what was in the queue before the run.
            torch.cuda.synchronize(self._device)
        # Torch has not typed how one is made.
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        self._marks.append(event)

    def intervals(self) -> list[float]:
        """Milliseconds between the marks since the last call; waits for the GPU, forgets marks."""
        marks, self._marks = self._marks, []
        torch.cuda.synchronize(self._device)
        return [start.elapsed_time(end) for start, end in pairwise(marks)]


def clock_for(device: torch.device) -> Clock:
    """The clock that times work on this device."""
    return CudaClock(device) if device.type == "cuda" else WallClock()


def milliseconds(run: Callable[[], object], clock: Clock) -> float:
    """How long a call takes, until what it gives is there."""
    clock.mark()
    result = run()
    clock.mark()
    (elapsed,) = clock.intervals()
    del result  # freeing it does not count
    return elapsed
