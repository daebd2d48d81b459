"""Tiny detectors as ONNX files, for the tests of the export."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny import model_cfg
from torch import nn

MEAN = (120.0, 110.0, 100.0)
BIAS = -2.0
"""Class logit of an image of one colour, the mean's; noise is rated above and below."""


class ExportedDetector(NamedTuple):
    model: nn.Module
    config: Config
    content: bytes
    session: Any


def noise(height: int, width: int) -> np.ndarray:
    """An image (H, W, 3)."""
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


def tiny_detector(**parts: Any) -> tuple[nn.Module, Config]:
    """A tiny model that finds objects in noise, and none in an image of its mean colour.

    Boxes overlap, and scores, embeddings and margins differ from place to place.
    """
    init_default_scope("mmdet")
    torch.manual_seed(0)
    score_thr = torch.tensor(BIAS).sigmoid().item() + 1e-3
    if (parts.get("test_cfg") or {}).get("score") == "sqrt":
        score_thr *= 0.5  # center-ness of a flat image
    parts["test_cfg"] = dict(score_thr=score_thr) | (parts.get("test_cfg") or {})
    cfg = model_cfg(**parts)
    cfg.data_preprocessor.update(mean=MEAN, std=(58.0, 57.0, 56.0), bgr_to_rgb=True)
    model = MODELS.build(cfg).eval()
    model.init_weights()
    head = model.bbox_head
    class_layer = head.conv_cls if hasattr(head, "conv_cls") else head.atss_cls
    box_layer = head.conv_reg if hasattr(head, "conv_reg") else head.atss_reg
    with torch.no_grad():
        layers = [class_layer, box_layer]
        if head.proposal_branch.learnable_margin:
            layers.append(head.proposal_branch.conv_margin)
        for layer in layers:
            layer.weight *= 30
        class_layer.bias.fill_(BIAS)
        if hasattr(head, "conv_reg"):
            box_layer.bias.fill_(3.0)
    pipeline = [dict(type="Resize", scale=(96, 64), keep_ratio=True)]
    loader = dict(dataset=dict(pipeline=pipeline))
    return model, Config(dict(model=cfg, test_dataloader=loader))


def export_tiny(**parts: Any) -> ExportedDetector:
    """Export a tiny model; skips the test by name without the packages."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    from onnxruntime import InferenceSession

    from mmdet_embedmask.export.onnx_file import file_metadata, onnx_bytes

    model, config = tiny_detector(**parts)
    classes = [f"class {label}" for label in range(model.bbox_head.num_classes)]
    content = onnx_bytes(model, file_metadata(model, config, classes))
    session = InferenceSession(content, providers=["CPUExecutionProvider"])
    return ExportedDetector(model, config, content, session)
