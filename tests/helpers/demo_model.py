"""A checkpoint as MMEngine's runner leaves it, which the demos can use alone."""

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny import build_model, model_cfg

CLASSES = ("cat", "dog", "owl")
BBOX_HEAD = dict(prior_margin=2.0)
"""Fits the large random embeddings of `save_checkpoint`."""


def demo_config(**test_cfg) -> Config:
    """The tiny model on images at their own size."""
    pipeline = [
        dict(type="LoadImageFromFile"),
        dict(type="Resize", scale=(96, 96), keep_ratio=True),
        dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
        dict(
            type="PackDetInputs",
            meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
        ),
    ]
    dataset = dict(
        type="CocoDatasetByName",
        ann_file="gone.json",
        metainfo=dict(classes=CLASSES),
        test_mode=True,
        pipeline=pipeline,
    )
    return Config(
        dict(
            default_scope="mmdet",
            custom_imports=dict(imports=["mmdet_embedmask"], allow_failed_imports=False),
            model=model_cfg(bbox_head=BBOX_HEAD, test_cfg=test_cfg).to_dict(),
            test_dataloader=dict(batch_size=1, dataset=dataset),
            visualizer=dict(type="DetLocalVisualizer", name="visualizer"),
        )
    )


def save_checkpoint(path: Path, **test_cfg) -> Path:
    """Random weights, whose masks are neither empty nor full."""
    init_default_scope("mmdet")
    torch.manual_seed(1)
    model = build_model(bbox_head=BBOX_HEAD)
    # Scores far apart: the order of detections does not hang on the last bit.
    model.bbox_head.conv_cls.bias.data = torch.tensor([0.5, 0.0, -0.5])
    torch.nn.init.normal_(model.bbox_head.conv_cls.weight, std=0.5)
    for weight in model.mask_head.parameters():
        if weight.ndim == 4:
            torch.nn.init.normal_(weight, std=0.3)
    text = demo_config(**test_cfg).pretty_text
    meta = dict(cfg=text, dataset_meta=dict(classes=CLASSES))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return path
