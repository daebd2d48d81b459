"""Masks without torch are those of the definition and of the model's prediction."""

import cv2
import numpy as np
import pytest
import torch
from exported import noise
from mmdet.structures import DetDataSample
from shared_data import shared_file

from mmdet_embedmask.export.onnx_detector import detect, masks_from_probabilities
from mmdet_embedmask.functional.resize import maps_at_size


@pytest.mark.parametrize("resize", ["bilinear", "aligned"])
@pytest.mark.parametrize("size", [(61, 77), (240, 300), (54, 90)])
def test_masks_are_those_of_the_definition(resize, size):
    maps = torch.rand(3, 16, 24)
    expected = maps_at_size(maps, (54, 90), size, resize)
    masks = masks_from_probabilities(maps.numpy(), (54, 90), size, mask_thr=0.4, mask_resize=resize)
    assert masks.shape == (3, *size) and masks.any() and not masks.all()
    # But for pixels at the threshold, where OpenCV's rounding decides.
    certain = ((expected - 0.4).abs() > 1e-4).numpy()
    assert certain.mean() > 0.99
    np.testing.assert_array_equal(masks[certain], (expected > 0.4).numpy()[certain])


def test_no_probabilities_give_no_mask():
    nothing = np.zeros((0, 8, 8), np.float32)
    masks = masks_from_probabilities(nothing, (30, 30), (5, 7), mask_thr=0.5)
    assert masks.shape == (0, 5, 7)


def check_detections(exported, image, input_size):
    """The session's boxes and masks at the image's size are those of the model's prediction."""
    height, width = input_size
    bboxes, scores, labels, masks = detect(exported.session, image, input_size)
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    scale = width / image.shape[1], height / image.shape[0]
    sample = DetDataSample(
        metainfo=dict(img_shape=input_size, ori_shape=image.shape[:2], scale_factor=scale)
    )
    data = dict(inputs=[torch.from_numpy(resized).permute(2, 0, 1)], data_samples=[sample])
    with torch.no_grad():
        expected = exported.model.test_step(data)[0].pred_instances
    assert len(scores) == len(expected) > 0
    np.testing.assert_array_equal(labels, expected.labels.numpy())
    np.testing.assert_allclose(scores, expected.scores.numpy(), atol=1e-5)
    np.testing.assert_allclose(bboxes, expected.bboxes.numpy(), atol=1e-2)
    differ = masks != expected.masks.numpy()
    assert masks.any() and differ.mean() < 1e-4


def test_detections_and_masks_are_those_of_the_models_prediction(exported):
    check_detections(exported, noise(50, 75), (90, 135))


@pytest.mark.slow  # it needs data that is not in the repository
def test_they_are_on_a_photograph_of_nuclei_too(exported):
    folder = shared_file("data/dsb2018/val")
    image = cv2.imread(str(sorted(folder.iterdir())[0]))
    check_detections(exported, image, (200, 200))
