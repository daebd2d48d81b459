"""Pairs of names written by hand: shapes alone cannot tell P6 from P7, or a weight from a bias."""

import pytest

from mmdet_embedmask.conversion import names_table1, names_table2
from mmdet_embedmask.conversion.layout import Layout, our_layout
from mmdet_embedmask.conversion.name_table import counters, their_names

SMALL1 = Layout(blocks=(1, 0, 0, 0), head_convs=2, levels=1, pixel_convs=1)
SMALL2 = Layout(
    blocks=(0, 1, 0, 2),
    head_convs=1,
    levels=1,
    pixel_convs=1,
    fused_levels=1,
    reduced=True,
    semantic_convs=1,
)
KINDS = ("weight", "bias")
NORM = ("weight", "bias", "running_mean", "running_var")

TABLE1 = [
    ("backbone.conv1", "backbone.body.stem.conv1", ["weight"]),
    ("backbone.bn1", "backbone.body.stem.bn1", NORM),
    ("backbone.layer1.0.conv1", "backbone.body.layer1.0.conv1", ["weight"]),
    ("backbone.layer1.0.bn1", "backbone.body.layer1.0.bn1", NORM),
    ("backbone.layer1.0.conv2", "backbone.body.layer1.0.conv2", ["weight"]),
    ("backbone.layer1.0.bn2", "backbone.body.layer1.0.bn2", NORM),
    ("backbone.layer1.0.conv3", "backbone.body.layer1.0.conv3", ["weight"]),
    ("backbone.layer1.0.bn3", "backbone.body.layer1.0.bn3", NORM),
    ("backbone.layer1.0.downsample.0", "backbone.body.layer1.0.downsample.0", ["weight"]),
    ("backbone.layer1.0.downsample.1", "backbone.body.layer1.0.downsample.1", NORM),
    ("neck.lateral_convs.0.conv", "backbone.fpn.fpn_inner2", KINDS),
    ("neck.lateral_convs.1.conv", "backbone.fpn.fpn_inner3", KINDS),
    ("neck.lateral_convs.2.conv", "backbone.fpn.fpn_inner4", KINDS),
    ("neck.fpn_convs.0.conv", "backbone.fpn.fpn_layer2", KINDS),
    ("neck.fpn_convs.1.conv", "backbone.fpn.fpn_layer3", KINDS),
    ("neck.fpn_convs.2.conv", "backbone.fpn.fpn_layer4", KINDS),
    ("neck.fpn_convs.3.conv", "backbone.fpn.top_blocks.p6", KINDS),
    ("neck.fpn_convs.4.conv", "backbone.fpn.top_blocks.p7", KINDS),
    ("bbox_head.cls_convs.0.conv", "rpn.head.cls_tower.0", KINDS),
    ("bbox_head.cls_convs.0.gn", "rpn.head.cls_tower.1", KINDS),
    ("bbox_head.cls_convs.1.conv", "rpn.head.cls_tower.3", KINDS),
    ("bbox_head.cls_convs.1.gn", "rpn.head.cls_tower.4", KINDS),
    ("bbox_head.reg_convs.0.conv", "rpn.head.bbox_tower.0", KINDS),
    ("bbox_head.reg_convs.0.gn", "rpn.head.bbox_tower.1", KINDS),
    ("bbox_head.reg_convs.1.conv", "rpn.head.bbox_tower.3", KINDS),
    ("bbox_head.reg_convs.1.gn", "rpn.head.bbox_tower.4", KINDS),
    ("bbox_head.conv_cls", "rpn.head.cls_logits", KINDS),
    ("bbox_head.conv_reg", "rpn.head.bbox_pred", KINDS),
    ("bbox_head.conv_centerness", "rpn.head.centerness", KINDS),
    ("bbox_head.scales.0", "rpn.head.scales.0", ["scale"]),
    (
        "bbox_head.proposal_branch.embedding.conv_spatial_aware",
        "rpn.head.proposal_spatial_embed_pred",
        KINDS,
    ),
    (
        "bbox_head.proposal_branch.embedding.conv_spatial_free",
        "rpn.head.proposal_other_embed_pred",
        KINDS,
    ),
    ("bbox_head.proposal_branch.conv_margin", "rpn.head.proposal_margin_pred", KINDS),
    ("bbox_head.proposal_branch.margin_scales.0", "rpn.head.margin_scales.0", ["scale"]),
    ("mask_head.tower.convs.0.conv", "rpn.head.mask_tower.0", KINDS),
    ("mask_head.tower.convs.0.gn", "rpn.head.mask_tower.1", KINDS),
    (
        "mask_head.embedding_prediction.conv_spatial_aware",
        "rpn.head.pixel_spatial_embed_pred",
        KINDS,
    ),
    ("mask_head.embedding_prediction.conv_spatial_free", "rpn.head.pixel_other_embed_pred", KINDS),
    ("mask_head.spatial_embedding.position_scale", "rpn.head.position_scale", ["scale"]),
]

FCOS = "proposal_generator.fcos_head"
BOTTOM_UP = "backbone.bottom_up"
BRANCH = "bbox_head.proposal_branch"


def bottleneck(ours, theirs, shortcut):
    pairs = [(f"{ours}.conv{i}", f"{theirs}.conv{i}", ["weight"]) for i in (1, 2, 3)]
    pairs += [(f"{ours}.bn{i}", f"{theirs}.conv{i}.norm", NORM) for i in (1, 2, 3)]
    if shortcut:
        pairs += [(f"{ours}.downsample.0", f"{theirs}.shortcut", ["weight"])]
        pairs += [(f"{ours}.downsample.1", f"{theirs}.shortcut.norm", NORM)]
    return pairs


TABLE2 = [
    ("backbone.conv1", f"{BOTTOM_UP}.stem.conv1", ["weight"]),
    ("backbone.bn1", f"{BOTTOM_UP}.stem.conv1.norm", NORM),
    *bottleneck("backbone.layer2.0", f"{BOTTOM_UP}.res3.0", True),
    *bottleneck("backbone.layer4.0", f"{BOTTOM_UP}.res5.0", True),
    *bottleneck("backbone.layer4.1", f"{BOTTOM_UP}.res5.1", False),
    ("neck.lateral_convs.0.conv", "backbone.fpn_lateral3", KINDS),
    ("neck.lateral_convs.1.conv", "backbone.fpn_lateral4", KINDS),
    ("neck.lateral_convs.2.conv", "backbone.fpn_lateral5", KINDS),
    ("neck.fpn_convs.0.conv", "backbone.fpn_output3", KINDS),
    ("neck.fpn_convs.1.conv", "backbone.fpn_output4", KINDS),
    ("neck.fpn_convs.2.conv", "backbone.fpn_output5", KINDS),
    ("neck.fpn_convs.3.conv", "backbone.top_block.p6", KINDS),
    ("neck.fpn_convs.4.conv", "backbone.top_block.p7", KINDS),
    ("bbox_head.cls_convs.0.conv", f"{FCOS}.cls_tower.0", KINDS),
    ("bbox_head.cls_convs.0.gn", f"{FCOS}.cls_tower.1", KINDS),
    ("bbox_head.reg_convs.0.conv", f"{FCOS}.bbox_tower.0", KINDS),
    ("bbox_head.reg_convs.0.gn", f"{FCOS}.bbox_tower.1", KINDS),
    ("bbox_head.conv_cls", f"{FCOS}.cls_logits", KINDS),
    ("bbox_head.conv_reg", f"{FCOS}.bbox_pred", KINDS),
    ("bbox_head.conv_centerness", f"{FCOS}.ctrness", KINDS),
    ("bbox_head.scales.0", f"{FCOS}.scales.0", ["scale"]),
    (f"{BRANCH}.reduce_embedding", "proposal_head.embed_conv", KINDS),
    (f"{BRANCH}.reduce_margin", "proposal_head.margin_conv", KINDS),
    (
        f"{BRANCH}.embedding.conv_spatial_aware",
        "proposal_head.embed_head.spatial_embed_head",
        KINDS,
    ),
    (f"{BRANCH}.embedding.conv_spatial_free", "proposal_head.embed_head.free_embed_head", KINDS),
    (f"{BRANCH}.margin_scales.0", "proposal_head.margin_scales.0", ["scale"]),
    ("mask_head.tower.refine.0.conv", "mask_branch.refine.0.0", ["weight"]),
    ("mask_head.tower.refine.0.bn", "mask_branch.refine.0.1", NORM),
    ("mask_head.tower.convs.0.conv", "mask_branch.tower.0.0", ["weight"]),
    ("mask_head.tower.convs.0.bn", "mask_branch.tower.0.1", NORM),
    ("mask_head.tower.convs.1", "mask_branch.tower.1", KINDS),
    ("mask_head.embedding_prediction.conv_spatial_aware", "pixel_head.spatial_embed_head", KINDS),
    ("mask_head.embedding_prediction.conv_spatial_free", "pixel_head.free_embed_head", KINDS),
    ("mask_head.semantic_branch.convs.0.conv", "mask_branch.seg_head.0.0", ["weight"]),
    ("mask_head.semantic_branch.convs.0.bn", "mask_branch.seg_head.0.1", NORM),
    ("mask_head.semantic_branch.conv_semantic", "mask_branch.logits", KINDS),
]


def by_hand(pairs):
    return {f"{a}.{kind}": (f"{b}.{kind}",) for a, b, kinds in pairs for kind in kinds}


def test_table_1():
    assert names_table1.name_table(SMALL1) == by_hand(TABLE1)


def test_table_2():
    margins = {
        f"{BRANCH}.conv_margin.{kind}": (
            f"proposal_head.spatial_margin_head.{kind}",
            f"proposal_head.free_margin_head.{kind}",
        )
        for kind in KINDS
    }
    assert names_table2.name_table(SMALL2) == by_hand(TABLE2) | margins


@pytest.mark.parametrize("program, layout", [(names_table1, SMALL1), (names_table2, SMALL2)])
def test_both_sides_names_tell_the_layout(program, layout):
    table = program.name_table(layout)
    assert program.layout(their_names(table)) == layout
    assert our_layout(table) == layout


def test_a_gap_in_the_indices_does_not_count():
    names = [f"backbone.body.layer3.{i}.conv1.weight" for i in (0, 1, 10**9)]
    assert names_table1.layout(names).blocks == (0, 0, 3, 0)


def test_counters_stand_beside_the_variances():
    found = counters(names_table2.name_table(SMALL2))
    assert found["backbone.bn1.num_batches_tracked"] == (
        f"{BOTTOM_UP}.stem.conv1.norm.num_batches_tracked"
    )
    assert found["mask_head.tower.refine.0.bn.num_batches_tracked"] == (
        "mask_branch.refine.0.1.num_batches_tracked"
    )
    assert len(found) == 1 + 4 + 4 + 3 + 3
