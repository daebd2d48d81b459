"""How often the host waits for the GPU, as torch tells it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

SYNCHRONISING = "called a synchronizing CUDA operation"
"""Begins torch's warning of each; beside these, torch warns once that it does not tell all."""


@dataclass
class Synchronisations:
    """What was counted.

    Args:
        places: file and line of every operation that let the host wait, known after the context.
    """

    places: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many."""
        return len(self.places)


@contextmanager
def count_synchronisations() -> Iterator[Synchronisations]:
    """Count the operations within that let the host wait until the GPU has done all its work.

    Each costs the time in which the host could have prepared what comes next. Torch sees copies to
    the host and reads of single values, but not every operation that waits.

    Other warnings are given once more afterwards, by the filters that hold then. Warnings belong to
    the whole process: other threads should not warn meanwhile.

    Yields:
        The count, which is set at the end.
    """
    counted = Synchronisations()
    others: list[warnings.WarningMessage] = []
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as given:
            # By default Python shows one of equal warnings of one line.
            warnings.simplefilter("always")
            try:
                yield counted
            finally:
                for warning in given:
                    if str(warning.message).startswith(SYNCHRONISING):
                        counted.places.append(f"{warning.filename}:{warning.lineno}")
                    else:
                        others.append(warning)
    finally:
        torch.cuda.set_sync_debug_mode(before)
        for other in others:
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
