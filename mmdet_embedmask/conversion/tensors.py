"""Weights of one side from those of the other, by a name table: copies and reshapes, no sums."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ..functional.geometry import SPATIAL_AWARE_DIM
from .name_table import NameTable, counters


def to_ours(theirs: Mapping[str, Tensor], table: NameTable) -> dict[str, Tensor]:
    """Our weights; theirs are not changed, and share no memory with them.

    BatchNorm's counters are 0 where theirs has none: with a fixed momentum nothing reads them.

    Args:
        theirs: by their names; every name of the table is there.
        table: see `NameTable`.
    """
    ours = {}
    for name, parts in table.items():
        value = torch.cat([theirs[part] for part in parts])
        ours[name] = value.reshape(()) if name.endswith(".scale") else value
    for name, counter in counters(table).items():
        zero = torch.zeros((), dtype=torch.int64)
        ours[name] = theirs[counter].clone() if counter in theirs else zero
    return ours


def to_theirs(ours: Mapping[str, Tensor], table: NameTable) -> dict[str, Tensor]:
    """Their weights; ours are not changed, and share no memory with them.

    The backbone's counters are left out: the norms of theirs are frozen and have none.

    Args:
        ours: by our names; every name of the table is there.
        table: see `NameTable`.
    """
    theirs = {}
    for name, parts in table.items():
        value = ours[name].reshape(1) if name.endswith(".scale") else ours[name]
        for part, piece in zip(parts, _pieces(value, len(parts)), strict=True):
            theirs[part] = piece.clone()
    for name, counter in counters(table).items():
        if name in ours and not name.startswith("backbone."):
            theirs[counter] = ours[name].clone()
    return theirs


def _pieces(value: Tensor, number: int) -> tuple[Tensor, ...]:
    """The whole, or the spatial-aware channels and the rest."""
    if number == 1:
        return (value,)
    return value[:SPATIAL_AWARE_DIM], value[SPATIAL_AWARE_DIM:]
