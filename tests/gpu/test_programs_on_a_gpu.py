"""What users run, on a GPU: what it gives is the host's, and the CPU's."""

import json
from dataclasses import fields, replace
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from demo_model import CLASSES, demo_config, save_checkpoint
from drawn import gray_image, inspected_image
from on_both import check_masks, to
from tiny import build_model, data_batch
from tool_module import load_tool

from mmdet_embedmask.benchmark.stages import read_masks
from mmdet_embedmask.data.coco_dataset import CocoMetricByName
from mmdet_embedmask.functional.run_lengths import encode_masks
from mmdet_embedmask.inference.coco_results import detections_of
from mmdet_embedmask.inference.predictor import open_segmentor
from mmdet_embedmask.inspection import inspect_image
from mmdet_embedmask.loading import checkpoint_config
from mmdet_embedmask.release.checkpoint import release_checkpoint
from mmdet_embedmask.visualization.coupling_maps import coupling_maps
from mmdet_embedmask.visualization.embedding_view import embedding_view

IMAGE = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)


@pytest.mark.parametrize("mask_format", ["bitmap", "rle"])
def test_predictions_of_images_are_those_of_the_cpu_and_lie_on_the_host(gpu, tmp_path, mask_format):
    checkpoint = save_checkpoint(tmp_path / "model.pth")
    config = checkpoint_config(checkpoint, {"model.test_cfg.mask_format": mask_format})
    found, expected = (
        open_segmentor(config, checkpoint, device).predict([IMAGE])[0] for device in ("cuda", "cpu")
    )
    assert found.bboxes.device.type == found.scores.device.type == "cpu"
    records = [detections_of(instances, CLASSES, 0) for instances in (found, expected)]
    assert [d["category"] for d in records[0]] == [d["category"] for d in records[1]]
    for record, wanted in zip(*records, strict=True):
        assert record["score"] == pytest.approx(wanted["score"], abs=1e-4)
        assert record["bbox"] == pytest.approx(wanted["bbox"], abs=0.1)
    if mask_format == "bitmap":
        check_masks(found.masks, expected.masks)


@pytest.fixture
def files(tmp_path):
    """A checkpoint, its config and an image, as files."""
    checkpoint, config, image = (tmp_path / name for name in ("m.pth", "m.py", "i.png"))
    save_checkpoint(checkpoint)
    checkpoint_config(checkpoint).dump(config)
    cv2.imwrite(str(image), IMAGE)
    return checkpoint, config, image


def test_tools_take_the_gpu_that_there_is(gpu, files, tmp_path):
    checkpoint, config, image = map(str, files)
    read = dict(
        picture_sheet=[config, checkpoint, "sheet.png"],
        threshold_sweep=[config, checkpoint, "--out", str(tmp_path / "sweep")],
    )
    for name, arguments in read.items():
        args = load_tool(name).parse_args(arguments)
        args = args[0] if isinstance(args, tuple) else args
        assert args.device == "cuda:0", name
    demo, views = tmp_path / "demo", tmp_path / "views"
    assert load_tool("image_demo").main([checkpoint, image, "--out", str(demo)]) == 0
    (record,) = json.loads((demo / "predictions.json").read_text())
    assert len(record["detections"]) > 0
    for name in ("embedding_view", "coupling_maps"):
        load_tool(name).main([config, checkpoint, str(views / name), "--images", image])
        assert list((views / name).glob("*.png"))


def test_masks_are_encoded_and_read_where_they_lie(gpu):
    masks = torch.rand(3, 20, 30) > 0.5
    assert encode_masks(masks.to("cuda")) == encode_masks(masks)
    read_masks(masks.to("cuda"))


def test_the_metric_takes_results_of_a_gpu(gpu):
    metric = CocoMetricByName(metric=["bbox", "segm"])
    masks = torch.rand(2, 20, 30) > 0.5
    found = dict(
        bboxes=torch.rand(2, 4), scores=torch.tensor([0.9, 0.8]), labels=torch.tensor([0, 1])
    )
    for device in ("cpu", "cuda"):
        instances = {name: value.to(device) for name, value in dict(found, masks=masks).items()}
        sample = dict(pred_instances=instances, img_id=1, ori_shape=(20, 30), instances=[])
        metric.process({}, [sample])
    (_, on_cpu), (_, on_gpu) = metric.results
    assert on_gpu["masks"] == on_cpu["masks"]
    assert np.array_equal(on_gpu["bboxes"], on_cpu["bboxes"])


def test_pictures_are_those_of_the_cpu(gpu):
    inspected = inspected_image(pixels=torch.randn(6, 8, 12))
    values = {field.name: getattr(inspected, field.name) for field in fields(inspected)}
    on_gpu = {name: to("cuda", value) for name, value in values.items() if torch.is_tensor(value)}
    moved = replace(inspected, **on_gpu)
    for draw in (
        embedding_view,
        partial(coupling_maps, instances=(0, 1), class_names=CLASSES),
    ):
        expected, drawn = (
            draw(gray_image(), image, mask_thr=0.5, title="a picture", tile=192)
            for image in (inspected, moved)
        )
        difference = np.abs(drawn.astype(int) - expected.astype(int))
        # A colour may round to the next.
        assert (difference > 2).mean() < 1e-3


def test_what_is_drawn_lies_on_the_host(gpu):
    model = build_model().eval().to("cuda")
    image = inspect_image(model, data_batch([1]), 0.0)
    held = [getattr(image, field.name) for field in fields(image)]
    assert {x.device.type for x in held if torch.is_tensor(x)} == {"cpu"} and len(image.scores)


def test_weights_of_a_release_lie_on_the_host(gpu):
    weight = torch.rand(3)
    meta = dict(dataset_meta=dict(classes=CLASSES))
    content = dict(state_dict=dict(weight=weight.to("cuda")), meta=meta)
    released = release_checkpoint(content, demo_config())["state_dict"]["weight"]
    assert type(released) is torch.Tensor and torch.equal(released, weight)
