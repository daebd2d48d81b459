import pytest
import torch
from tiny import random_instances

from mmdet_embedmask.heads.coupled_head import check_ground_truth


def test_good_ground_truth_passes():
    check_ground_truth(random_instances(3), 3, (128, 160))
    check_ground_truth(random_instances(0), 3, (128, 160))


def test_missing_masks_are_refused():
    instances = random_instances(2)
    del instances.masks
    with pytest.raises(ValueError, match="no masks.*with_mask=True"):
        check_ground_truth(instances, 3, (128, 160))


def test_masks_that_are_not_padded_are_refused():
    with pytest.raises(ValueError, match="128 x 160 but the padded images are 160 x 160.*pad_mask"):
        check_ground_truth(random_instances(2), 3, (160, 160))


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_outside_the_classes_are_refused(label):
    instances = random_instances(2)
    instances.labels = torch.tensor([0, label])
    with pytest.raises(ValueError, match="num_classes=3: set it to the number"):
        check_ground_truth(instances, 3, (128, 160))
