"""The same number of instances from every detector, trained or not.

What a detector costs depends on how many instances it finds, and an untrained one finds none. So
each is made to take the same number of candidates, its best scored ones, and to keep as many.
"""

from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.detectors.two_stage import TwoStageDetector
from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModel
from torch import Tensor, nn

CANDIDATES = 5
"""Candidates for every instance that is kept: as many as trained models have at score_thr=0.05."""


def keep_instances(config: Config, instances: int) -> None:
    """Let a config's model keep this number of instances, whatever their overlaps and sizes.

    Args:
        config: changed in place.
        instances: number of detections an image, at least 1.
    """
    test_cfg = config.model.test_cfg
    settings = test_cfg.rcnn if "rcnn" in test_cfg else test_cfg
    settings.max_per_img = instances
    if "nms" in settings:
        settings.nms = ConfigDict(type="nms", iou_threshold=1.0)
        settings.min_bbox_size = -1
        # After it, boxes of which clipping leaves nothing would be dropped.
        if "clip_boxes" in settings:
            settings.clip_boxes = "before_nms"
    else:  # SOLOv2 lets overlaps lower scores
        settings.filter_thr = 0.0


@torch.no_grad()
def candidate_threshold(model: BaseModel, data: dict[str, Any], instances: int) -> float:
    """Score threshold that CANDIDATES for each instance pass on this data.

    Args:
        model: in eval mode, its config prepared by `keep_instances`; its threshold is not restored.
        data: images as the data preprocessor gives them, all alike.
        instances: number of detections in each.
    """
    scorer, _ = _heads(model)
    scores: list[Tensor] = []

    def keep_scores(module: nn.Module, args: Any, outputs: Any) -> None:
        # At once: SOLOv2 writes into its outputs later.
        scores.append(_scores(model, outputs))

    hook = scorer.register_forward_hook(keep_scores)
    # Nothing passes: the forward pass is all that is wanted.
    set_score_thr(model, 1.0)
    try:
        model.predict(data["inputs"], data["data_samples"])
    finally:
        hook.remove()
    images = len(data["data_samples"])
    number = min(images * CANDIDATES * instances, len(scores[0]))
    lowest = float(scores[0].topk(number).values[-1])
    # Just below it, as many scores of an untrained detector may be equal. Below it in their own
    # type, in which they are compared: under autocast it has few digits.
    return lowest * (1 - torch.finfo(scores[0].dtype).eps) if lowest > 0 else -1.0


def set_score_thr(model: BaseModel, score_thr: float) -> None:
    """Set the threshold that candidates must pass."""
    _heads(model)[1].test_cfg.score_thr = score_thr


def _heads(model: BaseModel) -> tuple[nn.Module, Any]:
    """The module that scores, and the head whose ``test_cfg`` has the threshold."""
    if isinstance(model, TwoStageDetector):
        return model.roi_head.bbox_head, model.roi_head
    head = model.bbox_head if getattr(model, "bbox_head", None) is not None else model.mask_head
    return head, head


def _scores(model: BaseModel, outputs: Any) -> Tensor:
    """All scores (P,) that are compared with the threshold, in the type in which they are."""
    if isinstance(model, TwoStageDetector):
        probabilities: Tensor = outputs[0].softmax(dim=1)
        return probabilities[:, :-1].flatten()
    if getattr(model, "bbox_head", None) is None:  # SOLOv2: kernels, class logits, mask features
        levels = [level.sigmoid() for level in outputs[1]]
        # Only local maxima are left.
        peaks = [F.max_pool2d(level, 2, 1, 1)[..., :-1, :-1] == level for level in levels]
        return torch.cat([(s * p).flatten() for s, p in zip(levels, peaks, strict=True)])
    scores = [level.sigmoid() for level in outputs[0]]
    # The fused EmbedMask; on RTMDet there is no center-ness.
    if model.bbox_head.test_cfg.get("score") == "sqrt" and outputs[2] is not None:
        factors = [level.sigmoid() for level in outputs[2]]
        scores = [s * f for s, f in zip(scores, factors, strict=True)]
    return torch.cat([level.flatten() for level in scores])
