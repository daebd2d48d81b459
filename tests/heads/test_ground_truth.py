import numpy as np
import pytest
import torch
from mmdet.structures.mask import PolygonMasks
from mmengine.structures import InstanceData
from tiny import random_instances

from mmdet_embedmask.heads.ground_truth import check_ground_truth, ground_truth_masks


def test_bitmaps_are_not_copied():
    instances = random_instances(3)
    masks = ground_truth_masks(instances)
    assert masks.data_ptr() == instances.masks.masks.ctypes.data
    assert torch.equal(masks, torch.from_numpy(instances.masks.masks))


def test_polygons_are_rasterised():
    polygons = [[np.array([2.0, 2.0, 6.0, 2.0, 6.0, 5.0, 2.0, 5.0])]]
    masks = ground_truth_masks(InstanceData(masks=PolygonMasks(polygons, 8, 8)))
    expected = torch.zeros(1, 8, 8, dtype=torch.uint8)
    expected[0, 2:5, 2:6] = 1
    assert torch.equal(masks, expected)


def test_no_instances():
    assert ground_truth_masks(random_instances(0)).shape == (0, 128, 160)
    assert ground_truth_masks(InstanceData(masks=PolygonMasks([], 8, 8))).shape == (0, 8, 8)


def test_good_ground_truth_passes():
    check_ground_truth(random_instances(3), 3, (128, 160))
    check_ground_truth(random_instances(0), 3, (128, 160))


def test_missing_masks():
    instances = random_instances(2)
    del instances.masks
    with pytest.raises(ValueError, match="no masks.*with_mask=True"):
        check_ground_truth(instances, 3, (128, 160))


def test_masks_that_are_not_padded():
    with pytest.raises(ValueError, match="128 x 160 but the padded images are 160 x 160.*pad_mask"):
        check_ground_truth(random_instances(2), 3, (160, 160))


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_outside_the_classes(label):
    instances = random_instances(2)
    instances.labels = torch.tensor([0, label])
    with pytest.raises(ValueError, match="num_classes=3: set it to the number"):
        check_ground_truth(instances, 3, (128, 160))
