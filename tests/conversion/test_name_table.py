"""Pairs of names written by hand: shapes alone cannot tell P6 from P7, or a weight from a bias."""

import pytest
import torch
from released_checkpoints import assert_equal_weights

from mmdet_embedmask.conversion.fused_program import fused_layout, fused_name_table
from mmdet_embedmask.conversion.layout import Layout, our_layout
from mmdet_embedmask.conversion.name_table import counters, their_names, to_ours, to_theirs
from mmdet_embedmask.conversion.plain_program import plain_layout, plain_name_table

SMALL_PLAIN = Layout(blocks=(1, 0, 0, 0), head_convs=2, levels=1, pixel_convs=1)
SMALL_FUSED = Layout(
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

PLAIN = [
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


FUSED = [
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


def test_the_plain_programs_table_is_the_one_by_hand():
    assert plain_name_table(SMALL_PLAIN) == by_hand(PLAIN)


def test_the_fused_programs_table_is_the_one_by_hand():
    margins = {
        f"{BRANCH}.conv_margin.{kind}": (
            f"proposal_head.spatial_margin_head.{kind}",
            f"proposal_head.free_margin_head.{kind}",
        )
        for kind in KINDS
    }
    assert fused_name_table(SMALL_FUSED) == by_hand(FUSED) | margins


@pytest.mark.parametrize(
    "name_table, read_layout, layout",
    [(plain_name_table, plain_layout, SMALL_PLAIN), (fused_name_table, fused_layout, SMALL_FUSED)],
)
def test_both_sides_names_tell_the_layout(name_table, read_layout, layout):
    table = name_table(layout)
    assert read_layout(their_names(table)) == layout
    assert our_layout(table) == layout


def test_a_gap_in_the_indices_does_not_count():
    names = [f"backbone.body.layer3.{i}.conv1.weight" for i in (0, 1, 10**9)]
    assert plain_layout(names).blocks == (0, 0, 3, 0)


def test_counters_stand_beside_the_variances():
    found = counters(fused_name_table(SMALL_FUSED))
    assert found["backbone.bn1.num_batches_tracked"] == (
        f"{BOTTOM_UP}.stem.conv1.norm.num_batches_tracked"
    )
    assert found["mask_head.tower.refine.0.bn.num_batches_tracked"] == (
        "mask_branch.refine.0.1.num_batches_tracked"
    )
    assert len(found) == 1 + 4 + 4 + 3 + 3


MIXED_TABLE = {
    "head.conv_margin.weight": ("spatial_margin.weight", "free_margin.weight"),
    "head.scales.0.scale": ("scales.0.scale",),
    "head.bn.running_var": ("tower.1.running_var",),
    "backbone.bn1.running_var": ("stem.norm.running_var",),
}


def our_weights():
    return {
        "head.conv_margin.weight": torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]]),
        "head.scales.0.scale": torch.tensor(0.5),
        "head.bn.running_var": torch.tensor([7.0]),
        "head.bn.num_batches_tracked": torch.tensor(8),
        "backbone.bn1.running_var": torch.tensor([9.0]),
        "backbone.bn1.num_batches_tracked": torch.tensor(0),
    }


def their_weights():
    """Two spatial-aware channels and the rest; scales of one dimension; no backbone's counter."""
    return {
        "spatial_margin.weight": torch.tensor([[1.0], [2.0]]),
        "free_margin.weight": torch.tensor([[3.0], [4.0], [5.0], [6.0]]),
        "scales.0.scale": torch.tensor([0.5]),
        "tower.1.running_var": torch.tensor([7.0]),
        "tower.1.num_batches_tracked": torch.tensor(8),
        "stem.norm.running_var": torch.tensor([9.0]),
    }


def test_weights_are_copied_and_reshaped_in_both_directions():
    assert_equal_weights(to_theirs(our_weights(), MIXED_TABLE), their_weights())
    assert_equal_weights(to_ours(their_weights(), MIXED_TABLE), our_weights())


def test_converted_weights_share_no_memory_with_their_source():
    ours, theirs = our_weights(), their_weights()
    for value in (*to_theirs(ours, MIXED_TABLE).values(), *to_ours(theirs, MIXED_TABLE).values()):
        value.zero_()
    assert_equal_weights(ours, our_weights())
    assert_equal_weights(theirs, their_weights())
