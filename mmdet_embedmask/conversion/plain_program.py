"""Files of the plain program (the paper's Table 1), of the maskrcnn-benchmark family.

The names of their weights, and what they may hold in another form than our network does.
"""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from .layout import RESNET_STAGES, Layout, count_in, resnet_layers
from .name_table import NameTable, affine, batch_norm, fcos_head, group_norm_tower, scales, weight

HEAD = "rpn.head"
PROPOSAL_MARGIN = f"{HEAD}.proposal_margin_pred"
MARGIN_SCALES = f"{HEAD}.margin_scales"
PROPOSAL_PARTS = f"{HEAD}.proposal_spatial_embed_pred", f"{HEAD}.proposal_other_embed_pred"
PIXEL_PARTS = f"{HEAD}.pixel_spatial_embed_pred", f"{HEAD}.pixel_other_embed_pred"

FPN_STAGES = (2, 3, 4)
"""Stages of the backbone that the pyramid reads."""


def plain_layout(names: Collection[str]) -> Layout:
    """Count the layers of a file of theirs."""
    body = r"backbone\.body"
    return Layout(
        blocks=tuple(
            count_in(names, rf"{body}\.layer{s}\.(\d+)\.conv1\.weight") for s in RESNET_STAGES
        ),
        # Convolution and norm are two entries of the tower, with weights each.
        head_convs=count_in(names, r"rpn\.head\.cls_tower\.(\d+)\.weight") // 2,
        levels=count_in(names, r"rpn\.head\.scales\.(\d+)\.scale"),
        pixel_convs=count_in(names, r"rpn\.head\.mask_tower\.(\d+)\.weight") // 2,
    )


def plain_name_table(layout: Layout) -> NameTable:
    """Every weight of ours but BatchNorm's counters."""
    return _backbone(layout.blocks) | _neck() | _bbox_head(layout) | _mask_head(layout)


def _backbone(blocks: tuple[int, ...]) -> NameTable:
    table: NameTable = {}
    for conv, norm in resnet_layers(blocks):
        theirs = "backbone.body" if conv.startswith("layer") else "backbone.body.stem"
        table |= weight(f"backbone.{conv}", f"{theirs}.{conv}")
        table |= batch_norm(f"backbone.{norm}", f"{theirs}.{norm}")
    return table


def _neck() -> NameTable:
    table: NameTable = {}
    for i, stage in enumerate(FPN_STAGES):
        table |= affine(f"neck.lateral_convs.{i}.conv", f"backbone.fpn.fpn_inner{stage}")
        table |= affine(f"neck.fpn_convs.{i}.conv", f"backbone.fpn.fpn_layer{stage}")
    for i, level in enumerate(("p6", "p7"), start=len(FPN_STAGES)):
        table |= affine(f"neck.fpn_convs.{i}.conv", f"backbone.fpn.top_blocks.{level}")
    return table


def _bbox_head(layout: Layout) -> NameTable:
    branch = "bbox_head.proposal_branch"
    aware, free = PROPOSAL_PARTS
    return (
        fcos_head(HEAD, "centerness", layout.head_convs, layout.levels)
        | affine(f"{branch}.embedding.conv_spatial_aware", aware)
        | affine(f"{branch}.embedding.conv_spatial_free", free)
        | affine(f"{branch}.conv_margin", PROPOSAL_MARGIN)
        | scales(f"{branch}.margin_scales", MARGIN_SCALES, layout.levels)
    )


def _mask_head(layout: Layout) -> NameTable:
    aware, free = PIXEL_PARTS
    return (
        group_norm_tower("mask_head.tower.convs", f"{HEAD}.mask_tower", layout.pixel_convs)
        | affine("mask_head.embedding_prediction.conv_spatial_aware", aware)
        | affine("mask_head.embedding_prediction.conv_spatial_free", free)
        | {"mask_head.spatial_embedding.position_scale.scale": (f"{HEAD}.position_scale.scale",)}
    )


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
    margin = theirs.get(f"{PROPOSAL_MARGIN}.weight")
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
        if (value := theirs.get(f"{PROPOSAL_MARGIN}.{kind}")) is not None:
            weights[f"{PROPOSAL_MARGIN}.{kind}"] = value.repeat(embed_dim, *[1] * (value.dim() - 1))
    names = [f"{MARGIN_SCALES}.{level}.scale" for level in range(levels)]
    if not any(name in theirs for name in names):
        weights |= {name: torch.ones(1) for name in names}
    return weights
