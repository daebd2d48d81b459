import numpy as np
import pytest
from drawn import box_mask, objects

from mmdet_embedmask.evaluation.matching import iou_text, match, matched_ious, mean_iou, overlap


def test_overlap_is_what_is_counted_by_hand():
    # 20 x 20 and 20 x 10, of which 10 x 10 is shared: 100 / (400 + 200 - 100).
    truth, prediction = objects(box_mask(0, 0, 20, 20)), objects(box_mask(10, 0, 30, 10))
    result = overlap(truth, prediction)
    assert result.iou == pytest.approx(0.2)
    assert result.of_truth == pytest.approx(0.25)
    assert result.of_prediction == pytest.approx(0.5)


def test_other_classes_do_not_overlap():
    masks = box_mask(0, 0, 20, 20), box_mask(0, 0, 10, 20)
    result = overlap(objects(masks[0], labels=[1]), objects(*masks, labels=[0, 1]))
    assert result.iou.tolist() == [[0, 0.5]] and result.of_truth.tolist() == [[0, 0.5]]


@pytest.mark.parametrize(("truths", "predictions"), [(0, 2), (2, 0), (0, 0)])
def test_nothing_overlaps_where_there_is_no_object(truths, predictions):
    mask = box_mask(0, 0, 9, 9)
    result = overlap(objects(*[mask] * truths), objects(*[mask] * predictions))
    assert result.iou.shape == result.of_truth.shape == (truths, predictions)
    assert result.of_prediction.shape == (truths, predictions)
    assert match(result.iou).tolist() == [-1] * truths
    assert matched_ious(result.iou, match(result.iou)).tolist() == [0.0] * truths


def test_the_best_pair_comes_first_and_each_prediction_serves_once():
    iou = np.array([[0.6, 0.7], [0.5, 0.8], [0.55, 0.0]])
    matched = match(iou)
    assert matched.tolist() == [0, 1, -1]
    assert matched_ious(iou, matched).tolist() == [0.6, 0.8, 0.0]
    assert iou.max() == 0.8  # the argument is left alone


def test_a_mean_iou_without_instances_is_none():
    assert mean_iou(np.array([0.25, 0.75])) == 0.5 and mean_iou(np.zeros(0)) is None
    assert iou_text(0.5) == "mean IoU 0.500" and iou_text(None) == "no instances"
