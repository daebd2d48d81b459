"""Work that is measured in turns, and what becomes of work that fails."""

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from tqdm import trange

from ..compat.plain_ops import COMPILED_MMCV_CURE
from .peak_memory import free_memory

_T = TypeVar("_T")

NOT_INSTALLED = (
    COMPILED_MMCV_CURE,  # the stand-in's answer where it has no RoIAlign, for one
    "No working C++ compiler found",
    "Failed to find C compiler",
    "Cannot find a working triton installation",
    "Python.h: No such file",
    "returned non-zero exit status",  # a C compiler which Triton calls, without Python's headers
)
"""Parts of errors that say what this machine lacks: MMCV's operations, or what torch.compile
needs."""


@dataclass(frozen=True)
class NotMeasured:
    """Something that could not be measured.

    Args:
        name: of it.
        reason: what kind of error, and its first or most telling line.
        expected: the machine is known to lack something; otherwise something is wrong.
    """

    name: str
    reason: str
    expected: bool


@dataclass
class Attempts:
    """Lets one thing fail without those after it.

    Args:
        not_measured: what has failed so far.
    """

    not_measured: list[NotMeasured] = field(default_factory=list)

    @contextmanager
    def attempt(self, name: str) -> Iterator[None]:
        """Catch an error of what happens inside; an unexpected one is printed."""
        failed = True
        try:
            yield
            failed = False
        except Exception as error:
            expected = _is_expected(error)
            self.not_measured.append(NotMeasured(name, _reason(error), expected))
            if not expected:
                print(f"{name}:", file=sys.stderr)
                traceback.print_exception(error)
        if failed:  # The error, which held what it met on its way, is gone by now.
            free_memory()

    def has_failed(self, name: str) -> bool:
        """Whether this has failed."""
        return any(failed.name == name for failed in self.not_measured)


def _innermost(error: BaseException) -> BaseException:
    """The error itself, of one that torch.compile has wrapped."""
    while isinstance(inner := getattr(error, "inner_exception", None), BaseException):
        error = inner
    return error


def _is_expected(error: Exception) -> bool:
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    return any(text in str(_innermost(error)) for text in NOT_INSTALLED)


def _reason(error: Exception) -> str:
    """The line that says what is missing, or the first."""
    inner = _innermost(error)
    # Lines that a stand-in adds say how to build MMCV.
    lines = str(inner).replace(COMPILED_MMCV_CURE, "").strip().splitlines() or [""]
    # An error of a compiler's process comes with how it got there.
    telling = [line for line in lines if any(text in line for text in NOT_INSTALLED)]
    line = (telling or lines)[0].strip()
    return f"{type(inner).__name__}: {line}" if line else type(inner).__name__


def take_turns(
    steps: Mapping[str, Callable[[], _T]],
    runs: int,
    warmup: int,
    attempts: Attempts | None = None,
) -> dict[str, list[_T]]:
    """Run steps in turns (A B A B ...), so that a drift of the machine hits all alike.

    Args:
        steps: by name.
        runs: of each, whose results are kept, at least 1.
        warmup: runs of each before those.
        attempts: catches errors; a step that failed is left out from then on, with its results.
            None: errors are raised.

    Returns:
        Results of every run of every step that never failed, in the order of ``steps``.

    Raises:
        ValueError: if there are too few runs.
    """
    if runs < 1 or warmup < 0:
        raise ValueError(f"runs={runs} and warmup={warmup}: take at least 1 and 0")
    results: dict[str, list[_T]] = {name: [] for name in steps}
    for turn in trange(warmup + runs, unit="turn", disable=None):
        for name in list(results):
            with attempts.attempt(name) if attempts else nullcontext():
                result = steps[name]()
                if turn >= warmup:
                    results[name].append(result)
                del result
            if attempts and attempts.has_failed(name):
                del results[name]
    return results
