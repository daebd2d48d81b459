import pytest
import torch
from mmdet.registry import MODELS

from mmdet_embedmask.functional.mask_loss import lovasz_hinge
from mmdet_embedmask.losses import LovaszHingeLoss

LOGITS = torch.tensor([[[0.3, -2.0]], [[1.7, 0.2]], [[-0.4, 0.9]]])
TARGETS = torch.tensor([[[1, 0]], [[0, 1]], [[1, 1]]])


@pytest.fixture
def values():
    return lovasz_hinge(LOGITS, TARGETS.bool())


def test_the_loss_is_registered_and_reduces(values):
    for reduction, expected in (("none", values), ("mean", values.mean()), ("sum", values.sum())):
        loss = MODELS.build(dict(type="LovaszHingeLoss", reduction=reduction, loss_weight=0.5))
        torch.testing.assert_close(loss(LOGITS, TARGETS), 0.5 * expected)


def test_weight_average_factor_and_override(values):
    loss = LovaszHingeLoss()
    weight = torch.tensor([1.0, 0.0, 2.0])
    expected = (values * weight).sum() / 4
    torch.testing.assert_close(loss(LOGITS, TARGETS, weight, avg_factor=4), expected)
    torch.testing.assert_close(loss(LOGITS, TARGETS, reduction_override="none"), values)


def test_unknown_reductions_are_refused():
    with pytest.raises(ValueError, match="'avg' is unknown: choose one of"):
        LovaszHingeLoss(reduction="avg")
    with pytest.raises(ValueError, match="reduction_override='avg'"):
        LovaszHingeLoss()(LOGITS, TARGETS, reduction_override="avg")
