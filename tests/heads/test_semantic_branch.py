import math

import pytest
import torch

from mmdet_embedmask.heads import SemanticBranch

SIGMOID_FOCAL_PRIOR = 0.01


def build(num_classes=3):
    branch = SemanticBranch(num_classes, in_channels=4, feat_channels=6, norm_cfg=dict(type="BN"))
    branch.init_weights()
    return branch


def test_every_class_starts_at_the_prior():
    logits = build()(torch.randn(2, 4, 4, 4))
    assert logits.shape == (2, 3, 4, 4)
    # Weights of N(0, 0.01) move the prior by little.
    assert logits.sigmoid().mean().item() == pytest.approx(SIGMOID_FOCAL_PRIOR, rel=0.2)


def test_the_loss_is_the_focal_loss_over_the_number_of_object_cells():
    """All logits 0: p = 0.5, so a cell and class costs alpha_t * 0.25 * ln 2."""
    branch = build()
    torch.nn.init.zeros_(branch.conv_semantic.weight)
    torch.nn.init.zeros_(branch.conv_semantic.bias)
    masks = torch.zeros(1, 16, 16, dtype=torch.uint8)
    masks[0, 4, 4] = masks[0, 4, 12] = 1  # the middles of two of the four cells
    loss = branch.loss(torch.randn(1, 4, 2, 2), [masks], [torch.tensor([1])])
    positives, others = 2, 4 * 3 - 2
    expected = (0.25 * positives + 0.75 * others) * 0.25 * math.log(2) / positives
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_an_empty_batch_is_divided_by_one_and_reaches_every_parameter():
    branch = build()
    masks = torch.zeros(0, 16, 16, dtype=torch.uint8)
    torch.nn.init.zeros_(branch.conv_semantic.weight)
    torch.nn.init.zeros_(branch.conv_semantic.bias)
    loss = branch.loss(torch.randn(1, 4, 2, 2), [masks], [torch.zeros(0, dtype=torch.long)])
    # Four cells of three classes, none of them positive: see above.
    assert loss.item() == pytest.approx(12 * 0.75 * 0.25 * math.log(2), rel=1e-5)
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in branch.parameters())


def test_convolutions_start_kaiming_uniform():
    branch = build()
    for conv in (branch.convs[0].conv, branch.convs[1].conv):
        # a = 1: bound = sqrt(6 / ((1 + 1) * fan_in)).
        bound = (3 / (conv.in_channels * 9)) ** 0.5
        assert 0.9 * bound < conv.weight.abs().max() <= bound
    assert branch.conv_semantic.weight.abs().max() < 0.05
