"""Tables that say which weights of the authors' each of ours is made of, and their use.

Weights of one side become those of the other by copies and reshapes alone.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from ..functional.geometry import SPATIAL_AWARE_DIM

NameTable = dict[str, tuple[str, ...]]
"""Our name -> theirs; several of theirs are joined along the first dimension."""

COUNTER = "num_batches_tracked"


def affine(ours: str, *theirs: str) -> NameTable:
    """Weight and bias of a convolution or a GroupNorm."""
    return {
        f"{ours}.{kind}": tuple(f"{name}.{kind}" for name in theirs) for kind in ("weight", "bias")
    }


def weight(ours: str, theirs: str) -> NameTable:
    """Of a convolution without bias."""
    return {f"{ours}.weight": (f"{theirs}.weight",)}


def batch_norm(ours: str, theirs: str) -> NameTable:
    """Weight, bias and statistics; the counter of batches is not a weight: see `counters`."""
    return affine(ours, theirs) | {
        f"{ours}.{kind}": (f"{theirs}.{kind}",) for kind in ("running_mean", "running_var")
    }


def scales(ours: str, theirs: str, levels: int) -> NameTable:
    """One learned factor a level."""
    return {f"{ours}.{i}.scale": (f"{theirs}.{i}.scale",) for i in range(levels)}


def group_norm_tower(ours: str, theirs: str, convs: int) -> NameTable:
    """Convolutions with bias, GroupNorm and ReLU, which are numbered consecutively in theirs."""
    table: NameTable = {}
    for i in range(convs):
        table |= affine(f"{ours}.{i}.conv", f"{theirs}.{3 * i}")
        table |= affine(f"{ours}.{i}.gn", f"{theirs}.{3 * i + 1}")
    return table


def batch_norm_convs(ours: str, theirs: str, convs: int) -> NameTable:
    """Convolutions without bias, BatchNorm and ReLU, each a block of its own in theirs."""
    table: NameTable = {}
    for i in range(convs):
        table |= weight(f"{ours}.{i}.conv", f"{theirs}.{i}.0")
        table |= batch_norm(f"{ours}.{i}.bn", f"{theirs}.{i}.1")
    return table


def fcos_head(theirs: str, centerness: str, convs: int, levels: int) -> NameTable:
    """Both towers and the box predictions, which the two programs name nearly alike."""
    return (
        group_norm_tower("bbox_head.cls_convs", f"{theirs}.cls_tower", convs)
        | group_norm_tower("bbox_head.reg_convs", f"{theirs}.bbox_tower", convs)
        | affine("bbox_head.conv_cls", f"{theirs}.cls_logits")
        | affine("bbox_head.conv_reg", f"{theirs}.bbox_pred")
        | affine("bbox_head.conv_centerness", f"{theirs}.{centerness}")
        | scales("bbox_head.scales", f"{theirs}.scales", levels)
    )


def counters(table: NameTable) -> dict[str, str]:
    """Our counters of BatchNorm's batches -> theirs, which a file of theirs may lack."""
    return {
        ours.replace("running_var", COUNTER): theirs[0].replace("running_var", COUNTER)
        for ours, theirs in table.items()
        if ours.endswith(".running_var")
    }


def their_names(table: NameTable) -> list[str]:
    """All names of theirs that a table speaks of, without counters."""
    return [name for theirs in table.values() for name in theirs]


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
