import torch

from mmdet_embedmask.export.nms import class_aware_nms

BOXES = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [50, 50, 60, 60]])
SCORES = torch.tensor([0.5, 0.8, 0.6, 0.7])


def kept(classes, iou_threshold, max_boxes=10):
    found = class_aware_nms(
        BOXES, SCORES, classes, iou_threshold=iou_threshold, max_boxes=max_boxes
    )
    return found.tolist()


def test_overlaps_of_a_class_are_dropped_best_first():
    classes = torch.tensor([0, 0, 1, 0])
    assert kept(classes, 0.6) == [1, 3, 2]
    assert kept(classes, 0.95) == [1, 3, 2, 0]
    assert kept(torch.zeros(4), 0.6) == [1, 3]


def test_no_more_boxes_are_kept_than_asked_for():
    assert kept(torch.arange(4), 0.6, max_boxes=2) == [1, 3]


def test_of_no_boxes_none_is_kept():
    none = class_aware_nms(BOXES[:0], SCORES[:0], SCORES[:0].long(), iou_threshold=0.6, max_boxes=2)
    assert none.shape == (0,) and none.dtype == torch.long
