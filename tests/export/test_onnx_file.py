"""The file in onnxruntime: one file for images of every size."""

import json

import numpy as np
import pytest
from exported import BIAS, MEAN, export_tiny, noise, tiny_detector
from tiny import FUSED_BBOX_HEAD, FUSED_MASK_HEAD

from mmdet_embedmask import __version__
from mmdet_embedmask.export import onnx_file
from mmdet_embedmask.export.agreement import Agreement, compare

VARIANTS = {
    "fused, sqrt, aligned": dict(
        bbox_head=FUSED_BBOX_HEAD, mask_head=FUSED_MASK_HEAD, test_cfg=dict(score="sqrt")
    ),
    "embedding resized, coordinates as channels": dict(
        bbox_head=dict(embedding="coord_conv"),
        mask_head=dict(embedding="coord_conv", upsample="embedding"),
    ),
    "all pairs are candidates": dict(test_cfg=dict(score_thr=0.0, nms_pre=10**6, max_per_img=300)),
    "pixels at stride 4, the unit of the box": dict(
        bbox_head=dict(coupling_unit="box"), mask_head=dict(stride=4)
    ),
    "nothing is found": dict(test_cfg=dict(score_thr=0.99)),
}


@pytest.mark.parametrize("size", [(64, 96), (160, 128), (33, 200), (416, 257)])
def test_one_file_agrees_at_every_size(exported, size):
    result = compare(exported.model, exported.session, noise(*size))
    assert result.holds, result
    assert result.detections == 10  # max_per_img
    assert result.score < 1e-5 and result.probability < 1e-5


def test_an_image_without_detections_gives_empty_outputs(exported):
    image = np.full((70, 100, 3), MEAN[::-1], np.uint8)
    bboxes, scores, labels, maps = exported.session.run(None, {"image": image})
    assert bboxes.shape == (0, 4) and scores.shape == labels.shape == (0,)
    assert maps.shape == (0, 24, 32)
    assert compare(exported.model, exported.session, image) == Agreement(0, 0, 0, 0.0, 0.0, 0.0)
    assert exported.model.bbox_head.test_cfg.score_thr > 1 / (1 + np.exp(-BIAS))


def test_axes_that_differ_from_image_to_image_have_names(exported):
    values = (*exported.session.get_inputs(), *exported.session.get_outputs())
    assert {value.name: tuple(value.shape) for value in values} == onnx_file.AXES
    assert [value.type for value in values] == [
        "tensor(uint8)",
        "tensor(float)",
        "tensor(float)",
        "tensor(int64)",
        "tensor(float)",
    ]


def test_metadata_hold_what_the_files_user_needs(exported):
    held = exported.session.get_modelmeta().custom_metadata_map
    assert {key: json.loads(value) for key, value in held.items()} == dict(
        mmdet_embedmask=__version__,
        classes=[f"class {label}" for label in range(20)],
        resize=dict(scale=[96, 64], keep_ratio=True),
        mask_thr=0.5,
        mask_resize="bilinear",
        mask_stride=4,
        inclusive_boxes=True,
        strides=[8, 16, 32, 64, 128],
        mean=list(MEAN),
        std=[58.0, 57.0, 56.0],
        swap_red_and_blue=True,
        pad_size_divisor=32,
    )


def test_metadata_hold_the_mask_stride_of_finer_pixels():
    model, config = tiny_detector(mask_head=dict(stride=4))
    metadata = onnx_file.file_metadata(model, config, ["a"] * 3)
    assert json.loads(metadata["mask_stride"]) == model.mask_head.mask_stride == 2


def test_the_file_is_valid_and_whole(exported):
    import onnx

    proto = onnx.load_from_string(exported.content)
    onnx.checker.check_model(proto, full_check=True)
    assert not any(weight.external_data for weight in proto.graph.initializer)
    operators = [node.op_type for node in proto.graph.node]
    assert operators.count("NonMaxSuppression") == 1
    assert {opset.domain for opset in proto.opset_import} <= {"", "pkg.onnxscript.torch_lib"}


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name == "onnxscript" else 1)
    with pytest.raises(ValueError, match=r"^onnxscript is not.*mmdet_embedmask\[optional\]"):
        onnx_file.check_packages()


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_files_of_other_settings_agree(variant):
    detector = export_tiny(**VARIANTS[variant])
    for size in ((64, 96), (160, 128), (33, 200)):
        result = compare(detector.model, detector.session, noise(*size))
        assert result.holds, result
        assert (result.detections == 0) == (variant == "nothing is found")
