import pytest
import torch

from mmdet_embedmask.heads.candidate_scores import NO_CANDIDATE, candidate_scores

# Two classes at the three places of a map of one row.
CLASSES = torch.tensor([[[0.5, 0.8, 0.5]], [[0.2, 0.4, 0.125]]], dtype=torch.float64).logit()
CENTERNESS = torch.tensor([[[0.5, 0.1, 0.5]]], dtype=torch.float64).logit()
PRODUCT = torch.tensor([[0.25, 0.1], [0.08, 0.04], [0.25, 0.0625]], dtype=torch.float64)


def test_table_1_drops_by_class_and_ranks_by_the_product():
    ranks, scores = candidate_scores(CLASSES, CENTERNESS, "product", 0.3)
    # Of the classes 0.5, 0.8, 0.4 and 0.5 are above the threshold.
    expected = torch.tensor([[0.25, NO_CANDIDATE], [0.08, 0.04], [0.25, NO_CANDIDATE]])
    torch.testing.assert_close(ranks, expected.double())
    torch.testing.assert_close(scores, PRODUCT)


def test_table_2_drops_and_ranks_by_the_product_and_scores_by_its_root():
    ranks, scores = candidate_scores(CLASSES, CENTERNESS, "sqrt", 0.09)
    expected = torch.tensor([[0.25, 0.1], [NO_CANDIDATE] * 2, [0.25, NO_CANDIDATE]])
    torch.testing.assert_close(ranks, expected.double())
    assert scores[0, 0].item() == pytest.approx(0.5)
    torch.testing.assert_close(scores, PRODUCT.sqrt())


def test_the_threshold_itself_is_no_candidate():
    zeros = torch.zeros(1, 1, 1)  # probability 0.5, product 0.25, all exact
    assert candidate_scores(zeros, zeros, "product", 0.5)[0].item() == NO_CANDIDATE
    assert candidate_scores(zeros, zeros, "product", 0.49)[0].item() == 0.25
    assert candidate_scores(zeros, zeros, "sqrt", 0.25)[0].item() == NO_CANDIDATE
    assert candidate_scores(zeros, zeros, "sqrt", 0.24)[0].item() == 0.25
