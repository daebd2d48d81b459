import pytest
import torch
from mmengine.structures import InstanceData

from mmdet_embedmask.heads.detections import (
    NO_CANDIDATE,
    candidate_scores,
    check_whole_image,
    clip_boxes,
    clip_detections,
    exclusive_boxes,
    last_corner,
)

BOXES = torch.tensor([[-3.0, 4.0, 20.0, 70.0], [90.0, -8.0, 130.0, -2.0], [10.0, 10.0, 30.0, 20.0]])


def test_the_last_corner_is_the_image_s_end_or_its_last_pixel():
    assert last_corner((60, 100, 3), inclusive=False) == (60, 100)
    assert last_corner((60, 100), inclusive=True) == (59, 99)


def test_boxes_end_at_the_last_corner():
    expected = [[0.0, 4.0, 20.0, 60.0], [90.0, 0.0, 100.0, 0.0], [10.0, 10.0, 30.0, 20.0]]
    assert clip_boxes(BOXES, (60, 100)).tolist() == expected
    assert clip_boxes(torch.zeros(0, 4), (60, 100)).shape == (0, 4)


def test_detections_of_which_nothing_is_left_are_dropped():
    clipped = clip_detections(InstanceData(bboxes=BOXES, labels=torch.arange(3)), (60, 100))
    assert clipped.labels.tolist() == [0, 2]
    assert clipped.bboxes.tolist() == [[0.0, 4.0, 20.0, 60.0], [10.0, 10.0, 30.0, 20.0]]


def test_inclusive_boxes_get_one_pixel_of_the_original_image():
    boxes = torch.tensor([[10.0, 20.0, 30.0, 60.0]])
    assert exclusive_boxes(boxes, (2.0, 4.0), inclusive=False).tolist() == [[5.0, 5.0, 15.0, 15.0]]
    assert exclusive_boxes(boxes, (2.0, 4.0), inclusive=True).tolist() == [[5.0, 5.0, 16.0, 16.0]]


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


def test_the_score_without_centerness_is_the_class_probability():
    logits = torch.tensor([[[0.0, 2.0]], [[-3.0, 1.0]]])  # two classes, two points
    probability = logits.sigmoid().flatten(1).T
    ranks, scores = candidate_scores(logits, None, "product", 0.3)
    torch.testing.assert_close(scores, probability)
    assert torch.equal(ranks, probability.where(probability > 0.3, NO_CANDIDATE))
    _, scores = candidate_scores(logits, None, "sqrt", 0.3)
    torch.testing.assert_close(scores, probability.sqrt())


def test_an_image_that_was_padded_or_cropped_is_refused():
    whole = dict(img_shape=(67, 100), ori_shape=(200, 300), scale_factor=(1 / 3, 67 / 200))
    check_whole_image(whole)
    check_whole_image(dict(img_shape=(67, 100)))  # of nothing else is anything known
    for shape in ((68, 100), (67, 128), (64, 100)):
        with pytest.raises(ValueError, match=r"img_shape \(\d+, \d+\) .* remove what pads"):
            check_whole_image(whole | dict(img_shape=shape))
