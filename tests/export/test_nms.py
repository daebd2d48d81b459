import torch

from mmdet_embedmask.export.nms import class_aware_nms

BOXES = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [50, 50, 60, 60]])
SCORES = torch.tensor([0.5, 0.8, 0.6, 0.7])


def test_overlaps_of_a_class_are_dropped_best_first():
    labels = torch.tensor([0, 0, 1, 0])
    assert class_aware_nms(BOXES, SCORES, labels, 0.6, 10).tolist() == [1, 3, 2]
    assert class_aware_nms(BOXES, SCORES, labels, 0.95, 10).tolist() == [1, 3, 2, 0]
    assert class_aware_nms(BOXES, SCORES, torch.zeros(4), 0.6, 10).tolist() == [1, 3]


def test_no_more_than_asked_for():
    assert class_aware_nms(BOXES, SCORES, torch.arange(4), 0.6, 2).tolist() == [1, 3]


def test_no_boxes():
    kept = class_aware_nms(BOXES[:0], SCORES[:0], SCORES[:0].long(), 0.6, 2)
    assert kept.shape == (0,) and kept.dtype == torch.long
