import torch
from mmengine.structures import InstanceData

from mmdet_embedmask.heads.detection_boxes import (
    clip_boxes,
    clip_detections,
    exclusive_boxes,
    last_corner,
)

BOXES = torch.tensor([[-3.0, 4.0, 20.0, 70.0], [90.0, -8.0, 130.0, -2.0], [10.0, 10.0, 30.0, 20.0]])


def test_the_last_corner_is_the_image_s_end_or_its_last_pixel():
    assert last_corner((60, 100, 3), inclusive=False) == (60, 100)
    assert last_corner((60, 100), inclusive=True) == (59, 99)


def test_clipping():
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
