"""The exported function in torch: it is the model's own prediction, with every setting."""

import numpy as np
import pytest
import torch
from exported import noise, tiny_detector
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_overlaps
from tiny import FUSED_BBOX_HEAD, FUSED_MASK_HEAD, build_atss, build_rtmdet, model_cfg

from mmdet_embedmask.export.agreement import Detected, agreement, predict
from mmdet_embedmask.export.onnx_model import OnnxEmbedMask

SETTINGS = {
    "plain": dict(),
    "many classes": dict(bbox_head=dict(num_classes=30)),
    "sqrt": dict(test_cfg=dict(score="sqrt")),
    "embedding": dict(mask_head=dict(upsample="embedding")),
    "aligned": dict(mask_head=dict(upsample_mode="aligned")),
    "fused": dict(bbox_head=FUSED_BBOX_HEAD, mask_head=FUSED_MASK_HEAD),
    "small boxes": dict(test_cfg=dict(min_bbox_size=40)),
    "all survive": dict(test_cfg=dict(max_per_img=1000, nms_pre=10)),
    "all pairs": dict(test_cfg=dict(max_per_img=1000, nms_pre=10**6)),
    "coordinates": dict(
        bbox_head=dict(embedding="coord_conv"), mask_head=dict(embedding="coord_conv")
    ),
    "clip after": dict(test_cfg=dict(clip_boxes="after_nms", min_bbox_size=-1)),
    "inclusive": dict(test_cfg=dict(inclusive_boxes=True)),
    "fixed margin": dict(bbox_head=dict(learnable_margin=False)),
    "stride 4": dict(mask_head=dict(stride=4)),
    "level": dict(bbox_head=dict(coupling_unit="level")),
    "box": dict(bbox_head=dict(coupling_unit="box")),
    "box, fixed, clip after": dict(
        bbox_head=dict(coupling_unit="box", learnable_margin=False),
        test_cfg=dict(clip_boxes="after_nms", min_bbox_size=-1),
    ),
}


def detections(model, image):
    with torch.no_grad():
        return Detected(*(x.numpy() for x in OnnxEmbedMask(model)(torch.from_numpy(image))))


def check(model, image):
    expected, found = predict(model, image), detections(model, image)
    assert len(expected.scores) > 5
    # In one process all is equal to the last digit, the order too.
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-6)
    assert agreement(expected, found).holds
    return found


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("size", [(64, 96), (150, 129)])
def test_the_function_is_the_models_prediction(setting, size):
    model, _ = tiny_detector(**SETTINGS[setting])
    found = check(model, noise(*size))
    stride = model.mask_head.mask_stride
    cells = tuple(-(-side // 32) * 32 // stride for side in size)
    assert found.probabilities.shape[1:] == cells
    assert found.bboxes[:, 0::2].max() <= size[1] and found.bboxes[:, 1::2].max() <= size[0]


def test_masks_are_cropped_to_their_boxes():
    image = noise(64, 96)
    whole = check(tiny_detector()[0], image)
    cropped = check(tiny_detector(test_cfg=dict(crop_to_box=True))[0], image)
    # From int(x1 / 4) - 2 up to, not including, int(x2 / 4) + 2; rows likewise.
    rows, columns = np.meshgrid(np.arange(16), np.arange(24), indexing="ij")
    x1, y1, x2, y2 = (side[:, None, None] for side in (whole.bboxes / 4).astype(int).T)
    inside = (x1 - 2 <= columns) & (columns < x2 + 2) & (y1 - 2 <= rows) & (rows < y2 + 2)
    assert not inside.all()
    np.testing.assert_array_equal(cropped.bboxes, whole.bboxes)
    np.testing.assert_array_equal(cropped.probabilities, whole.probabilities * inside)


@pytest.mark.parametrize("agnostic", [False, True])
def test_overlaps_of_other_classes_are_dropped_where_the_class_does_not_count(agnostic):
    nms = dict(type="nms", iou_threshold=0.4, class_agnostic=agnostic)
    model, _ = tiny_detector(bbox_head=dict(num_classes=30), test_cfg=dict(nms=nms))
    boxes = torch.from_numpy(check(model, noise(64, 96)).bboxes)
    overlaps = bbox_overlaps(boxes, boxes).fill_diagonal_(0)
    assert bool((overlaps > 0.4).any()) != agnostic


def test_the_padding_has_the_preprocessors_value():
    model, image = tiny_detector()[0], noise(150, 129)
    zero = check(model, image)
    model.data_preprocessor.pad_value = 3
    assert not np.array_equal(check(model, image).scores, zero.scores)


def test_a_candidate_at_the_threshold_is_none():
    model, image = tiny_detector()[0], noise(64, 96)
    cfg = model.bbox_head.test_cfg
    data = dict(inputs=[torch.from_numpy(image).permute(2, 0, 1)], data_samples=[DetDataSample()])
    with torch.no_grad():
        inputs = model.data_preprocessor(data)["inputs"]
        logits = model.bbox_head(model.extract_feat(inputs))[0]
    cfg.score_thr = max(level.sigmoid().max().item() for level in logits)
    assert len(predict(model, image).scores) == len(detections(model, image).scores) == 0
    cfg.score_thr *= 1 - 1e-6
    assert len(predict(model, image).scores) == len(detections(model, image).scores) == 1


@pytest.mark.parametrize("build", [build_atss, build_rtmdet])
def test_the_function_is_the_prediction_on_other_detectors_too(build):
    check(build().eval(), noise(96, 128))


def test_without_detections_the_outputs_are_empty():
    model, _ = tiny_detector(test_cfg=dict(score_thr=0.99))
    bboxes, scores, labels, maps = OnnxEmbedMask(model)(torch.from_numpy(noise(64, 96)))
    assert bboxes.shape == (0, 4) and scores.shape == labels.shape == (0,)
    assert maps.shape == (0, 16, 24)


@pytest.mark.parametrize(
    ("test_cfg", "message"),
    [
        (dict(nms=dict(type="soft_nms", iou_threshold=0.5)), "soft_nms.*only dict\\(type='nms'"),
        (dict(nms=dict(type="nms", iou_threshold=0.5, max_num=3)), "max_num.*only dict"),
    ],
)
def test_what_is_not_exported_is_refused_by_name(test_cfg, message):
    with pytest.raises(ValueError, match=message):
        OnnxEmbedMask(tiny_detector(test_cfg=test_cfg)[0])


def test_another_preprocessor_is_refused():
    cfg = model_cfg()
    cfg.data_preprocessor = dict(type="mmdet.TrackDataPreprocessor")
    with pytest.raises(ValueError, match="TrackDataPreprocessor: only DetDataPreprocessor"):
        OnnxEmbedMask(MODELS.build(cfg))
