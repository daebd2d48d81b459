import json

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from mmdet_embedmask.inference.coco_results import detections_of, image_record

CLASSES = ("cat", "dog")


def instances(rle=False, boxes=None):
    masks = torch.zeros(2, 4, 6, dtype=torch.bool)
    masks[0, 1:3, 2:5] = True
    masks[1, 0, 0] = masks[1, 3, 5] = True
    if rle:
        masks = [coco_mask.encode(np.asfortranarray(mask.numpy(), np.uint8)) for mask in masks]
    if boxes is None:
        boxes = [[2.1, 1.0, 5.0, 3.3], [0.0, 0.0, 6.0, 4.0]]
    return InstanceData(
        bboxes=torch.tensor(boxes),
        scores=torch.tensor([0.9, 0.1]),
        labels=torch.tensor([1, 0]),
        masks=masks,
    )


@pytest.mark.parametrize("rle", [False, True])
def test_bitmaps_and_run_lengths_give_the_same_record(rle):
    record = image_record(instances(rle), CLASSES, (4, 6), image_id=3, file_name="a.png")
    assert record["detections"][0] | dict(segmentation=None) == dict(
        image_id=3,
        category_id=1,
        category="dog",
        bbox=[2.1, 1.0, float(str(np.float32(5.0) - np.float32(2.1))), 2.3],
        score=0.9,
        segmentation=None,
    )
    assert (record["height"], record["width"], record["file_name"]) == (4, 6, "a.png")
    read = json.loads(json.dumps(record))["detections"]
    for detection, mask in zip(read, instances().masks, strict=True):
        assert isinstance(detection["segmentation"]["counts"], str)
        assert np.array_equal(coco_mask.decode(detection["segmentation"]), mask)


def test_numbers_are_short_and_exact():
    values = torch.rand(2, generator=torch.Generator().manual_seed(0))
    found = instances()
    found.scores = values
    scores = [d["score"] for d in detections_of(found, CLASSES, 0)]
    assert torch.equal(torch.tensor(scores), values)
    assert max(len(str(score)) for score in scores) <= 12


def test_a_model_without_boxes_gets_those_of_its_masks():
    found = instances(boxes=[[0.0] * 4] * 2)
    assert [d["bbox"] for d in detections_of(found, CLASSES, 0)] == [[2, 1, 3, 2], [0, 0, 6, 4]]


def test_pycocotools_reads_all_detections_as_results(tmp_path):
    record = image_record(instances(), CLASSES, (4, 6), image_id=7, file_name="a.png")
    truth = COCO()
    truth.dataset = dict(
        images=[dict(id=7, height=4, width=6)],
        annotations=[],
        categories=[dict(id=i, name=name) for i, name in enumerate(CLASSES)],
    )
    truth.createIndex()
    results = truth.loadRes(record["detections"])
    assert [results.annToMask(a).sum() for a in results.loadAnns(results.getAnnIds())] == [6, 2]


def test_missing_masks_and_class_names_are_named():
    with pytest.raises(ValueError, match="predicts class 1, but its config names only 1 class"):
        detections_of(instances(), ["cat"], 0)
    boxes_alone = instances()
    boxes_alone.pop("masks")
    with pytest.raises(ValueError, match="predicts no masks: take an instance segmentor"):
        detections_of(boxes_alone, CLASSES, 0)
    assert detections_of(instances()[:0], CLASSES, 0) == []
