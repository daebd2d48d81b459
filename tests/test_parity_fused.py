"""Figures that the authors' fused program computed, against ours."""

import pytest
import torch
from golden_figures import sampled
from golden_fused import (
    NUM_CLASSES,
    STRIDES,
    build_pixel_head,
    build_proposal_branch,
    features,
    ground_truth,
)
from golden_weights import golden_weights

from mmdet_embedmask.functional.geometry import POSITION_UNIT, cell_positions
from mmdet_embedmask.functional.mask_targets import semantic_targets

# The figures are float64; float32 deviates by up to 5e-6 (their README), and sums of it by more.
PRECISIONS = [(torch.float64, 1e-10), (torch.float32, 5e-5)]
precisions = pytest.mark.parametrize("dtype, tolerance", PRECISIONS, ids=["float64", "float32"])


def near_maps(ours, theirs, tolerance):
    close(sampled(ours), theirs, tolerance)


def masks_of(instances):
    return torch.from_numpy(instances.masks.masks)


def close(ours, theirs, tolerance):
    torch.testing.assert_close(
        ours.detach().double(), torch.from_numpy(theirs), rtol=0, atol=tolerance
    )


@precisions
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_fused_pixel_head_gives_what_theirs_gave(golden_fused, mode, dtype, tolerance):
    head = build_pixel_head(golden_fused, dtype).train(mode == "train")
    levels = features(golden_fused, dtype)
    if mode == "train":  # in training BatchNorm's statistics change with every call
        near_maps(head.tower(levels), golden_fused["train/mask_feats"], tolerance)
        head = build_pixel_head(golden_fused, dtype).train()
    else:
        near_maps(head.tower(levels), golden_fused["eval/mask_feats"], tolerance)
    near_maps(head(levels)[0], golden_fused[f"{mode}/pixel_embed"], tolerance)


@precisions
def test_running_statistics_after_one_step_are_theirs(golden_fused, dtype, tolerance):
    head = build_pixel_head(golden_fused, dtype).train()
    levels = features(golden_fused, dtype)
    head(levels)
    head.semantic_branch(levels[0])
    after = golden_weights(golden_fused, torch.float64, "train/bn_after/mask_branch.")
    state, compared = head.state_dict(), 0
    for name, value in after.items():
        part, index, _, kind = name.split(".")
        ours = {
            "refine": "tower.refine",
            "tower": "tower.convs",
            "seg_head": "semantic_branch.convs",
        }[part]
        close(state[f"{ours}.{index}.bn.{kind}"], value.numpy(), tolerance)
        compared += 1
    assert compared == 18


@precisions
@pytest.mark.parametrize("variant", ["Conv1_Conv3", "Conv3"])
def test_the_proposal_branch_gives_what_theirs_gave(golden_fused, variant, dtype, tolerance):
    branch = build_proposal_branch(golden_fused, variant, dtype)
    for level, feature in enumerate(features(golden_fused, dtype)):
        embedding, margin = branch(feature, level)
        theirs = torch.from_numpy(golden_fused[f"{variant}/proposal_head_on_feature/{level}"])
        positions = cell_positions(feature, STRIDES[level]) / POSITION_UNIT
        embedding = torch.cat([embedding[:, :2] + positions, embedding[:, 2:]], dim=1)
        near_maps(embedding, theirs[:, :16].numpy(), tolerance)
        near_maps(margin, theirs[:, 16:].numpy(), tolerance)


def test_semantic_targets_are_theirs(golden_fused):
    for image, instances in enumerate(ground_truth(golden_fused)):
        ours = semantic_targets(masks_of(instances), instances.labels, NUM_CLASSES)
        theirs = torch.from_numpy(golden_fused["train/sem_target"][image]) - 1
        assert torch.equal(ours.where(ours < NUM_CLASSES, -1), theirs)


@precisions
def test_semantic_logits_and_the_loss_on_them_are_theirs(golden_fused, dtype, tolerance):
    branch = build_pixel_head(golden_fused, dtype).semantic_branch.train()
    p3 = features(golden_fused, dtype)[0]
    near_maps(branch(p3), golden_fused["train/sem_logits"], tolerance)
    branch = build_pixel_head(golden_fused, dtype).semantic_branch.train()
    truth = ground_truth(golden_fused)
    loss = branch.loss(p3, [masks_of(gt) for gt in truth], [gt.labels for gt in truth])
    close(loss, golden_fused["train/loss_sem"], tolerance)
