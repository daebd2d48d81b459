"""Weights of the authors' heads, by our names, through the package's own name tables."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mmdet_embedmask.conversion.families import Family
from mmdet_embedmask.conversion.name_table import to_ours


def golden_weights(
    golden: Mapping[str, np.ndarray], dtype: torch.dtype, *prefixes: str
) -> dict[str, Tensor]:
    """Arrays whose names start with one of the prefixes, by what follows it."""
    return {
        name.removeprefix(prefix): torch.from_numpy(array).to(dtype)
        for prefix in prefixes
        for name, array in golden.items()
        if name.startswith(prefix)
    }


def part_of_ours(theirs: Mapping[str, Tensor], family: Family, part: str) -> dict[str, Tensor]:
    """State of one part of our network, from weights of theirs that need not be a whole network."""
    table = family.name_table(family.layout(theirs))
    table = {n.removeprefix(part): names for n, names in table.items() if n.startswith(part)}
    return to_ours(theirs, table)
