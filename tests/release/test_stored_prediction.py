import numpy as np
import pytest
from mmengine.config import ConfigDict
from pycocotools import mask as coco_mask

from mmdet_embedmask.release.stored_prediction import compare_records

TEST_CFG = ConfigDict(score_thr=0.05, max_per_img=2)


def record(x=10.0, score=0.9, label=0, width=50):
    mask = np.zeros((40, 100), np.uint8)
    mask[10:30, int(x) : int(x) + width] = 1
    code = coco_mask.encode(np.asfortranarray(mask))
    segmentation = dict(size=code["size"], counts=code["counts"].decode())
    return dict(
        bbox=[x, 10.0, x + width, 30.0], score=score, label=label, segmentation=segmentation
    )


def test_equal():
    agreement = compare_records([record()], [record()], TEST_CFG)
    assert agreement.holds and agreement.detections == 1
    assert (agreement.box, agreement.score, agreement.mask_iou) == (0, 0, 1)


def test_differences_within_the_tolerances_are_told():
    agreement = compare_records([record(10.0, 0.9)], [record(10.4, 0.895)], TEST_CFG)
    assert agreement.holds
    assert (agreement.box, agreement.score) == pytest.approx((0.4, 0.005))


@pytest.mark.parametrize(
    "other", [record(12.0), record(score=0.88), record(label=1), record(width=53)]
)
def test_beyond_a_tolerance_both_sides_miss_one(other):
    agreement = compare_records([record()], [other], TEST_CFG)
    assert agreement.missing == 2 and not agreement.holds


def test_what_is_near_the_threshold_may_be_missing():
    assert compare_records([record(score=0.06)], [], TEST_CFG).holds
    assert not compare_records([record(score=0.08)], [], TEST_CFG).holds


def test_what_is_near_the_last_of_a_full_list_may_be_missing():
    full = [record(score=0.9), record(x=20.0, score=0.5)]
    assert compare_records(full, [record(score=0.9), record(x=30.0, score=0.505)], TEST_CFG).holds
    assert not compare_records(full[:1], full, TEST_CFG.copy() | dict(max_per_img=3)).holds


def test_empty_masks_are_equal():
    assert compare_records([record(width=0)], [record(width=0)], TEST_CFG).holds
