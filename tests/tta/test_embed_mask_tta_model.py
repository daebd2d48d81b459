from typing import get_args

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from pycocotools import mask as coco_mask
from runs import CONFIGS
from tiny import build_model, data_batch, views_of
from torch import nn

from mmdet_embedmask import EmbedMaskTTAModel
from mmdet_embedmask.options import Score

TTA = dict(nms=dict(type="nms", iou_threshold=0.6), max_per_img=10)


def untrained(**test_cfg):
    """Its class logits are larger, so that scores differ, its margins so small that masks do."""
    model = build_model(bbox_head=dict(prior_margin=0.5), test_cfg=test_cfg).eval()
    nn.init.normal_(model.bbox_head.conv_cls.weight, std=0.3)
    nn.init.normal_(model.bbox_head.conv_reg.weight, std=0.3)
    return model


@pytest.mark.parametrize("score", get_args(Score))
def test_one_view_gives_what_the_model_gives(score):
    model, batch = untrained(score=score), data_batch([2, 1])
    with torch.no_grad():
        plain = model.test_step(data_batch([2, 1]))
    merged = EmbedMaskTTAModel(model, TTA).test_step(views_of(batch, None))
    assert len(plain) == len(merged) == 2
    for one, other in zip(plain, merged, strict=True):
        a, b = one.pred_instances, other.pred_instances
        areas = a.masks.float().mean(dim=(1, 2))
        assert len(a) > 3 and areas.min() > 0.01 and areas.max() < 0.5 and len(set(areas)) > 3
        assert a.labels.tolist() == b.labels.tolist()
        torch.testing.assert_close(a.bboxes, b.bboxes)
        torch.testing.assert_close(a.scores, b.scores)
        assert (a.masks != b.masks).float().mean() < 1e-5  # at the threshold


def test_a_flipped_view_of_a_flipped_image_is_the_same_view():
    """Two views of which one is the image itself, told to be a flip of its flip."""
    model, batch = untrained(), data_batch([2])
    tta = EmbedMaskTTAModel(model, TTA)
    (alone,) = tta.test_step(views_of(batch, None))
    (twice,) = tta.test_step(views_of(batch, None, None))
    torch.testing.assert_close(alone.pred_instances.bboxes, twice.pred_instances.bboxes)
    assert torch.equal(alone.pred_instances.masks, twice.pred_instances.masks)
    (flipped,) = tta.test_step(views_of(batch, "horizontal"))
    mirrored = dict(batch, inputs=[batch["inputs"][0].flip([2])])
    (of_mirrored,) = tta.test_step(views_of(mirrored, None))
    width = batch["inputs"][0].shape[2]
    boxes = of_mirrored.pred_instances.bboxes[:, [2, 1, 0, 3]] * torch.tensor([-1, 1, -1, 1])
    boxes += torch.tensor([width, 0, width, 0])
    torch.testing.assert_close(flipped.pred_instances.bboxes, boxes)
    assert torch.equal(flipped.pred_instances.masks, of_mirrored.pred_instances.masks.flip([2]))


def test_run_lengths_are_those_of_the_bitmaps():
    model, batch = untrained(), data_batch([2])
    views = views_of(batch, None, "vertical")
    bitmaps = EmbedMaskTTAModel(model, TTA).test_step(views)[0].pred_instances.masks
    model.mask_head.test_cfg.mask_format = "rle"
    codes = EmbedMaskTTAModel(model, TTA).test_step(views)[0].pred_instances.masks
    assert torch.equal(bitmaps, torch.from_numpy(coco_mask.decode(codes)).permute(2, 0, 1).bool())


def test_nothing_detected_gives_empty_masks_of_the_original_size():
    model = untrained(score_thr=0.999999)
    (sample,) = EmbedMaskTTAModel(model, TTA).test_step(views_of(data_batch([1]), None, "diagonal"))
    assert sample.pred_instances.masks.shape == (0, 128, 160)
    assert sample.pred_instances.bboxes.shape == (0, 4)


def test_another_detector_is_refused():
    class Other(nn.Module):
        test_step = None

    with pytest.raises(TypeError, match="views of EmbedMask, not of Other"):
        EmbedMaskTTAModel(Other(), TTA)


@pytest.mark.parametrize(
    "name, views",
    [
        ("embedmask_r50_fpn_1x_coco", 6),
        ("embedmask_r18_fpn_dsb2018", 12),
        ("embedmask_tiny_shapes", 4),
    ],
)
def test_each_configs_views_all_differ(name, views, tmp_path):
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), np.zeros((50, 70, 3), np.uint8))
    cfg = Config.fromfile(CONFIGS / f"{name}.py")
    assert cfg.tta_model.type == "EmbedMaskTTAModel"
    data = pseudo_collate([Compose(cfg.tta_pipeline)(dict(img_path=str(path), img_id=0))])
    samples = [view[0] for view in data["data_samples"]]
    assert len(data["inputs"]) == views
    kinds = {(sample.img_shape, sample.flip and sample.flip_direction) for sample in samples}
    assert len(kinds) == views
