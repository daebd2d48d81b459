"""Names of the Table 1 program, which belongs to the maskrcnn-benchmark family."""

from collections.abc import Collection

from .layout import STAGES, Layout, count, resnet_layers
from .name_table import NameTable, affine, batch_norm, fcos_head, group_norm_tower, scales, weight

HEAD = "rpn.head"
MARGIN = f"{HEAD}.proposal_margin_pred"
MARGIN_SCALES = f"{HEAD}.margin_scales"
PROPOSAL_PARTS = f"{HEAD}.proposal_spatial_embed_pred", f"{HEAD}.proposal_other_embed_pred"
PIXEL_PARTS = f"{HEAD}.pixel_spatial_embed_pred", f"{HEAD}.pixel_other_embed_pred"

FPN_STAGES = (2, 3, 4)
"""Stages of the backbone that the pyramid reads."""


def layout(names: Collection[str]) -> Layout:
    """Count the layers of a file of theirs."""
    body = r"backbone\.body"
    return Layout(
        blocks=tuple(count(names, rf"{body}\.layer{s}\.(\d+)\.conv1\.weight") for s in STAGES),
        # Convolution and norm are two entries of the tower, with weights each.
        head_convs=count(names, r"rpn\.head\.cls_tower\.(\d+)\.weight") // 2,
        levels=count(names, r"rpn\.head\.scales\.(\d+)\.scale"),
        pixel_convs=count(names, r"rpn\.head\.mask_tower\.(\d+)\.weight") // 2,
    )


def name_table(layout: Layout) -> NameTable:
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
        | affine(f"{branch}.conv_margin", MARGIN)
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
