"""The error of everything that can be wrong with a checkpoint to convert."""

from collections.abc import Iterable

SHOWN = 5
"""Names that a message lists before it only counts."""


class ConversionError(ValueError):
    """A checkpoint cannot be converted; the message names the cause and the cure."""


def listed(names: Iterable[str]) -> str:
    """The first few names, and how many there are in all."""
    names = list(names)
    more = f", ... ({len(names)} in all)" if len(names) > SHOWN else f" ({len(names)})"
    return ", ".join(names[:SHOWN]) + more
