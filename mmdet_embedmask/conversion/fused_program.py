"""Files of the fused program (the paper's Table 2), of the detectron2 family: their names."""

from collections.abc import Collection

from .layout import RESNET_STAGES, Layout, count_in, resnet_layers
from .name_table import NameTable, affine, batch_norm, batch_norm_convs, fcos_head, scales, weight

FCOS = "proposal_generator.fcos_head"
SKIPPED = ("mask_pred.sizes_of_interest", "mask_pred._iter")
"""Buffers of the program's mask loss; the network does not read them."""

FPN_LEVELS = (3, 4, 5)


def fused_layout(names: Collection[str]) -> Layout:
    """Count the layers of a file of theirs."""
    bottom_up = r"backbone\.bottom_up"
    return Layout(
        blocks=tuple(
            count_in(names, rf"{bottom_up}\.res{s + 1}\.(\d+)\.conv1\.weight")
            for s in RESNET_STAGES
        ),
        # Convolution and norm are two entries of the tower, with weights each.
        head_convs=count_in(names, r"proposal_generator\.fcos_head\.cls_tower\.(\d+)\.weight") // 2,
        levels=count_in(names, r"proposal_generator\.fcos_head\.scales\.(\d+)\.scale"),
        pixel_convs=count_in(names, r"mask_branch\.tower\.(\d+)\.0\.weight"),
        fused_levels=count_in(names, r"mask_branch\.refine\.(\d+)\.0\.weight"),
        reduced="proposal_head.embed_conv.weight" in names,
        semantic_convs=count_in(names, r"mask_branch\.seg_head\.(\d+)\.0\.weight"),
    )


def fused_name_table(layout: Layout) -> NameTable:
    """Every weight of ours but BatchNorm's counters."""
    return (
        _backbone(layout.blocks)
        | _neck()
        | fcos_head(FCOS, "ctrness", layout.head_convs, layout.levels)
        | _proposal_branch(layout)
        | _mask_head(layout)
    )


def _backbone(blocks: tuple[int, ...]) -> NameTable:
    table: NameTable = {}
    for conv, norm in resnet_layers(blocks):
        theirs = f"backbone.bottom_up.{_their_conv(conv)}"
        table |= weight(f"backbone.{conv}", theirs)
        table |= batch_norm(f"backbone.{norm}", f"{theirs}.norm")
    return table


def _their_conv(ours: str) -> str:
    """Their name of a convolution of the backbone; they count stages from 2."""
    if not ours.startswith("layer"):
        return f"stem.{ours}"
    stage, rest = ours.removeprefix("layer").split(".", 1)
    return f"res{int(stage) + 1}.{rest.replace('downsample.0', 'shortcut')}"


def _neck() -> NameTable:
    table: NameTable = {}
    for i, level in enumerate(FPN_LEVELS):
        table |= affine(f"neck.lateral_convs.{i}.conv", f"backbone.fpn_lateral{level}")
        table |= affine(f"neck.fpn_convs.{i}.conv", f"backbone.fpn_output{level}")
    for i, extra in enumerate(("p6", "p7"), start=len(FPN_LEVELS)):
        table |= affine(f"neck.fpn_convs.{i}.conv", f"backbone.top_block.{extra}")
    return table


def _proposal_branch(layout: Layout) -> NameTable:
    ours, theirs = "bbox_head.proposal_branch", "proposal_head"
    table = (
        affine(f"{ours}.embedding.conv_spatial_aware", f"{theirs}.embed_head.spatial_embed_head")
        | affine(f"{ours}.embedding.conv_spatial_free", f"{theirs}.embed_head.free_embed_head")
        | affine(
            f"{ours}.conv_margin", f"{theirs}.spatial_margin_head", f"{theirs}.free_margin_head"
        )
        | scales(f"{ours}.margin_scales", f"{theirs}.margin_scales", layout.levels)
    )
    if layout.reduced:
        table |= affine(f"{ours}.reduce_embedding", f"{theirs}.embed_conv")
        table |= affine(f"{ours}.reduce_margin", f"{theirs}.margin_conv")
    return table


def _mask_head(layout: Layout) -> NameTable:
    ours, theirs, convs = "mask_head.tower", "mask_branch", layout.pixel_convs
    prediction = "mask_head.embedding_prediction"
    table = (
        batch_norm_convs(f"{ours}.refine", f"{theirs}.refine", layout.fused_levels)
        | batch_norm_convs(f"{ours}.convs", f"{theirs}.tower", convs)
        # The tower ends in a plain convolution.
        | affine(f"{ours}.convs.{convs}", f"{theirs}.tower.{convs}")
        | affine(f"{prediction}.conv_spatial_aware", "pixel_head.spatial_embed_head")
        | affine(f"{prediction}.conv_spatial_free", "pixel_head.free_embed_head")
    )
    if layout.semantic_convs:
        branch = "mask_head.semantic_branch"
        table |= batch_norm_convs(f"{branch}.convs", f"{theirs}.seg_head", layout.semantic_convs)
        table |= affine(f"{branch}.conv_semantic", f"{theirs}.logits")
    return table
