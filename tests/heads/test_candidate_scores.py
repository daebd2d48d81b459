import pytest
import torch

from mmdet_embedmask.heads.candidate_scores import candidate_scores

# Two classes at the two places of a map of one row.
CLASSES = torch.tensor([[[0.5, 0.8]], [[0.2, 0.4]]]).logit()
CENTERNESS = torch.tensor([[[0.5, 0.1]]]).logit()
PRODUCT = torch.tensor([[0.25, 0.1], [0.08, 0.04]])


def test_product_ranks_by_class():
    ranks, scores = candidate_scores(CLASSES, CENTERNESS, "product")
    torch.testing.assert_close(ranks, torch.tensor([[0.5, 0.2], [0.8, 0.4]]))
    torch.testing.assert_close(scores, PRODUCT)


def test_root_ranks_by_product():
    ranks, scores = candidate_scores(CLASSES, CENTERNESS, "sqrt")
    torch.testing.assert_close(ranks, PRODUCT)
    assert scores[0, 0].item() == pytest.approx(0.5)
    torch.testing.assert_close(scores, PRODUCT.sqrt())
