import numpy as np
import pytest
from mmengine.config import ConfigDict
from pycocotools import mask as coco_mask

from mmdet_embedmask.release.stored_prediction import compare_records

TEST_CFG = ConfigDict(score_thr=0.05, max_per_img=2)


def record(x=10.0, score=0.9, label=0, width=50, mask_x=None):
    """A box of 50 columns, and a mask of ``width`` columns that begins at it or at ``mask_x``."""
    mask = np.zeros((40, 100), np.uint8)
    start = int(x if mask_x is None else mask_x)
    mask[10:30, start : start + width] = 1
    code = coco_mask.encode(np.asfortranarray(mask))
    segmentation = dict(size=code["size"], counts=code["counts"].decode())
    return dict(bbox=[x, 10.0, x + 50, 30.0], score=score, label=label, segmentation=segmentation)


def test_equal_predictions_agree():
    agreement = compare_records([record()], [record()], TEST_CFG)
    assert agreement.holds and agreement.detections == 1
    assert (agreement.box, agreement.score, agreement.mask_iou) == (0, 0, 1)


def test_differences_within_the_tolerances_are_told():
    agreement = compare_records([record(10.0, 0.9)], [record(10.4, 0.895)], TEST_CFG)
    assert agreement.holds
    assert (agreement.box, agreement.score) == pytest.approx((0.4, 0.005))


@pytest.mark.parametrize(
    "other",
    [record(11.0, mask_x=10), record(9.0, mask_x=10), record(width=49)],
    ids=["box 1 px", "box -1 px", "mask IoU 0.98"],
)
def test_a_difference_of_exactly_the_tolerance_is_none(other):
    assert compare_records([record()], [other], TEST_CFG).holds


@pytest.mark.parametrize(
    "other",
    [record(11.01, mask_x=10), record(score=0.88), record(label=1), record(width=48)],
    ids=["box 1.01 px", "score", "label", "mask IoU 0.96"],
)
def test_beyond_a_single_tolerance_both_sides_miss_one(other):
    agreement = compare_records([record()], [other], TEST_CFG)
    assert agreement.missing == 2 and not agreement.holds


def test_the_largest_differences_of_all_pairs_are_told():
    exact, moved, thinner = record(), record(10.75, mask_x=10, label=1), record(width=49, label=2)
    stored = [record(label=1), exact, record(label=2)]
    agreement = compare_records(stored, [exact, thinner, moved], TEST_CFG)
    assert agreement.holds and agreement.detections == 3
    assert agreement.box == 0.75 and agreement.mask_iou == pytest.approx(0.98)


def test_of_several_counterparts_the_nearest_counts():
    left, right = record(10.0), record(10.5)
    assert compare_records([left, right], [right, left], TEST_CFG).box == 0


def test_what_is_near_the_threshold_may_be_missing():
    assert compare_records([record(score=0.06)], [], TEST_CFG).holds
    assert not compare_records([record(score=0.08)], [], TEST_CFG).holds


def test_what_is_near_the_last_of_a_full_list_may_be_missing():
    full = [record(score=0.9), record(x=20.0, score=0.5)]
    assert compare_records(full, [record(score=0.9), record(x=30.0, score=0.505)], TEST_CFG).holds
    assert not compare_records(full[:1], full, TEST_CFG.copy() | dict(max_per_img=3)).holds


def test_an_empty_list_of_a_model_without_a_limit_is_not_cut_off():
    """MMDetection's SOLO takes -1 for no limit."""
    unlimited = ConfigDict(score_thr=0.05, max_per_img=-1)
    assert compare_records([], [], unlimited).holds
    assert not compare_records([record(score=0.08)], [], unlimited).holds


@pytest.mark.parametrize(
    "test_cfg, missing",
    [
        (dict(rpn=dict(), rcnn=dict(score_thr=0.05, max_per_img=100)), "score_thr"),
        (dict(score_thr=0.05), "max_per_img"),
        ({}, "score_thr"),
    ],
)
def test_a_detector_that_does_not_say_where_it_cuts_is_refused(test_cfg, missing):
    with pytest.raises(ValueError, match=f"model.test_cfg has no {missing}, .* be compared"):
        compare_records([record()], [record()], ConfigDict(test_cfg))


def test_empty_masks_are_equal():
    assert compare_records([record(width=0)], [record(width=0)], TEST_CFG).holds
