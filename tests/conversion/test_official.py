"""Whole networks in both directions, on the complete lists of the authors' names."""

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from released_checkpoints import (
    NAME_LISTS,
    assert_equal_weights,
    deeper,
    listed_shapes,
    random_weights,
    tiny_config,
    tiny_network,
)
from runs import CONFIGS

from mmdet_embedmask.conversion.official import conversion_report, recognize, to_official
from mmdet_embedmask.conversion.our_checkpoint import (
    our_checkpoint,
    released_buffers,
    released_config,
)

BASES = {
    "plain": "released/embedmask_r50_fpn_1x_coco_released.py",
    "fused": "embedmask_fused_r50_fpn_ms-1x_coco.py",
    "fused_conv3": "released/embedmask_fused-conv3_r50_fpn_ms-1x_coco.py",
}
DEEP_BASES = {
    "plain": "released/embedmask_r101_fpn_ms-3x_coco_released.py",
    "fused": "embedmask_fused_r101_fpn_ms-3x_coco.py",
}
CASES = [(name, 50) for name in BASES] + [(name, 101) for name in DEEP_BASES]
SKIPPED = {"mask_pred.sizes_of_interest", "mask_pred._iter"}


@pytest.fixture(scope="session")
def released():
    """Random weights of a whole network by the authors' names, made once."""
    made = {}

    def get(name, depth):
        if (name, depth) not in made:
            shapes = listed_shapes(name)
            made[name, depth] = random_weights(shapes if depth == 50 else deeper(shapes))
        return made[name, depth]

    return get


@pytest.mark.parametrize("name, depth", CASES)
def test_every_listed_weight_reaches_the_configs_network_and_comes_back(released, name, depth):
    theirs = released(name, depth)
    official = recognize(theirs)
    assert official.family.name == name.split("_")[0] and official.layout.depth == depth
    expected = (BASES if depth == 50 else DEEP_BASES)[name]
    assert released_config(official) == expected

    config = Config.fromfile(CONFIGS / expected)
    checkpoint = our_checkpoint(official, config, expected, "digest")
    ours = checkpoint["state_dict"]
    config.model.backbone.init_cfg = None
    keys = MODELS.build(config.model).load_state_dict(ours, strict=True)
    assert not keys.missing_keys and not keys.unexpected_keys
    assert {n for n in theirs if n in official.family.skipped} == set(official.skipped)
    assert set(official.skipped) == (SKIPPED if name != "plain" else set())

    back = to_official(ours)
    assert_equal_weights(back.weights | released_buffers(checkpoint, back), theirs)


@pytest.mark.parametrize("name", NAME_LISTS)
def test_the_report_counts_both_sides(released, name):
    theirs = released(name, 50)
    official = recognize(theirs)
    ours = official.state_dict()
    lines = conversion_report(official, ours)
    # In the fused one two buffers are skipped, and two margin heads (weight and bias) are one.
    less = 0 if name == "plain" else 2
    share = "100.0 % of those that hold weights"
    assert lines[2] == (
        f"theirs: {len(theirs)} tensors, {len(theirs) - less} of them ours ({share})"
    )
    assert len(ours) == len(theirs) - 2 * less + 53
    assert lines[3] == (
        f"ours: {len(ours)} tensors, {len(ours) - 53} of them theirs, 53 counters of batches that "
        "theirs lacks (100.0 %)"
    )
    assert ("skipped: mask_pred.sizes_of_interest, mask_pred._iter" in lines) == (name != "plain")


PAIRS = {
    "plain": [
        ("backbone.layer3.5.bn2.running_var", "backbone.body.layer3.5.bn2.running_var"),
        ("neck.fpn_convs.4.conv.bias", "backbone.fpn.top_blocks.p7.bias"),
        ("bbox_head.reg_convs.3.gn.weight", "rpn.head.bbox_tower.10.weight"),
        ("bbox_head.proposal_branch.conv_margin.weight", "rpn.head.proposal_margin_pred.weight"),
    ],
    "fused": [
        ("backbone.layer3.5.bn2.running_var", "backbone.bottom_up.res4.5.conv2.norm.running_var"),
        ("neck.fpn_convs.4.conv.bias", "backbone.top_block.p7.bias"),
        ("bbox_head.reg_convs.3.gn.weight", "proposal_generator.fcos_head.bbox_tower.10.weight"),
        ("bbox_head.proposal_branch.reduce_margin.weight", "proposal_head.margin_conv.weight"),
        ("mask_head.tower.refine.2.bn.num_batches_tracked",)
        + ("mask_branch.refine.2.1.num_batches_tracked",),
    ],
}
PAIRS["fused_conv3"] = [pair for pair in PAIRS["fused"] if "reduce" not in pair[0]]


@pytest.mark.parametrize("name", BASES)
def test_our_weights_lie_under_their_names_and_come_back(tmp_path, name):
    ours, theirs = tiny_network(tiny_config(tmp_path, BASES[name]))
    for our_name, their_name in PAIRS[name]:
        assert torch.equal(theirs[their_name], ours[our_name]), our_name
    if name != "plain":
        margin = ours["bbox_head.proposal_branch.conv_margin.weight"]
        assert torch.equal(theirs["proposal_head.spatial_margin_head.weight"], margin[:2])
        assert torch.equal(theirs["proposal_head.free_margin_head.weight"], margin[2:])
    assert_equal_weights(recognize(theirs).state_dict(), ours)


def test_the_order_of_names_does_not_matter(tmp_path):
    ours, theirs = tiny_network(tiny_config(tmp_path, BASES["fused"]))
    assert_equal_weights(recognize(dict(reversed(theirs.items()))).state_dict(), ours)


def older_release(theirs, scales=True):
    """One margin for all channels."""
    older = dict(theirs)
    for kind in ("weight", "bias"):
        older[f"rpn.head.proposal_margin_pred.{kind}"] = theirs[
            f"rpn.head.proposal_margin_pred.{kind}"
        ][3:4]
    if not scales:
        older = {n: value for n, value in older.items() if "margin_scales" not in n}
    return older


@pytest.mark.parametrize("scales", [True, False])
def test_the_older_release_gets_its_margin_in_every_channel(tmp_path, scales):
    ours, theirs = tiny_network(tiny_config(tmp_path, BASES["plain"]))
    official = recognize(older_release(theirs, scales))
    state = official.state_dict()
    branch = "bbox_head.proposal_branch"
    for kind in ("weight", "bias"):
        margin = state[f"{branch}.conv_margin.{kind}"]
        assert len(margin) == 16
        for channel in margin:
            assert torch.equal(channel, ours[f"{branch}.conv_margin.{kind}"][3])
    for level in range(5):
        name = f"{branch}.margin_scales.{level}.scale"
        assert state[name] == (ours[name] if scales else 1.0) and state[name].shape == ()
    assert "assumed" in official.notes[0]
    assert set(state) == set(ours)


def test_the_reduce_factor_divides_the_weights_of_embeddings_alone(tmp_path):
    ours, theirs = tiny_network(tiny_config(tmp_path, BASES["plain"]))
    official = recognize(theirs, embed_reduce_factor=4.0)
    assert official.notes == ("weights of embeddings divided by 4",)
    assert recognize(theirs).notes == ()
    divided = official.state_dict()
    for name, value in ours.items():
        embedding = "conv_spatial_" in name and name.endswith(".weight")
        assert torch.equal(divided[name], value / 4 if embedding else value), name
    assert sum("conv_spatial_" in name and name.endswith(".weight") for name in ours) == 4


def test_counters_of_batches_are_zero_where_theirs_has_none(tmp_path):
    config = tiny_config(tmp_path, BASES["fused"])
    ours, theirs = tiny_network(config)
    theirs = {n: v for n, v in theirs.items() if not n.endswith("num_batches_tracked")}
    checkpoint = our_checkpoint(recognize(theirs), Config.fromfile(config), "tiny.py", "digest")
    state = checkpoint["state_dict"]
    assert set(state) == set(ours)
    for name, value in state.items():
        counter = name.endswith("num_batches_tracked")
        assert torch.equal(value, torch.zeros_like(value) if counter else ours[name])
