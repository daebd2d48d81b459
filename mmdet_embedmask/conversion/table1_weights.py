"""What files of the Table 1 program may have that our network says otherwise."""

from collections.abc import Mapping

import torch
from torch import Tensor

from .names_table1 import MARGIN, MARGIN_SCALES, PIXEL_PARTS, PROPOSAL_PARTS


def divide_embedding_weights(theirs: Mapping[str, Tensor], factor: float) -> dict[str, Tensor]:
    """Take their EMBED_REDUCE_FACTOR into the weights.

    They predict embeddings, of pixels and of proposals, from a tower divided by the factor:
    ``W (t / f) + b = (W / f) t + b``, so the weights are divided and the biases are not.

    Args:
        theirs: by their names.
        factor: of their configuration.
    """
    divided = {f"{part}.weight" for part in (*PROPOSAL_PARTS, *PIXEL_PARTS)}
    return {
        name: value / factor if name in divided and factor != 1 else value
        for name, value in theirs.items()
    }


def has_one_margin(theirs: Mapping[str, Tensor]) -> bool:
    """Whether this is the older release, which predicts one margin for all channels."""
    margin = theirs.get(f"{MARGIN}.weight")
    return margin is not None and len(margin) == 1


def repeat_margin(theirs: Mapping[str, Tensor], levels: int) -> dict[str, Tensor]:
    """Weights that predict the one margin once for each channel of the embedding.

    Where the file has scales of the margin by level, they are kept, and so apply to the
    spatial-aware channels alone, as in the later release. This is an assumption: no such file was
    at hand. Without them the scales are 1, and all channels of a proposal share its margin.

    Args:
        theirs: by their names, with one channel of margin.
        levels: of the pyramid.
    """
    weights = dict(theirs)
    parts = [theirs.get(f"{part}.weight") for part in PROPOSAL_PARTS]
    # A part that is missing is reported with all other missing names.
    embed_dim = sum(len(part) for part in parts if part is not None)
    for kind in ("weight", "bias"):
        if (value := theirs.get(f"{MARGIN}.{kind}")) is not None:
            weights[f"{MARGIN}.{kind}"] = value.repeat(embed_dim, *[1] * (value.dim() - 1))
    names = [f"{MARGIN_SCALES}.{level}.scale" for level in range(levels)]
    if not any(name in theirs for name in names):
        weights |= {name: torch.ones(1) for name in names}
    return weights
