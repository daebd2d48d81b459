"""From outputs to detections: which pairs are candidates, their scores, and what boxes mean.

Shapes used in this module:

    K: detections, boxes (K, 4) as (x1, y1, x2, y2), C: classes, h, w: size of a level
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.structures.bbox import scale_boxes
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from ..functional.geometry import flatten_points
from ..options import Score

NO_CANDIDATE = -1.0
"""Rank of a pair that is no candidate, below that of every pair that is one."""


def candidate_scores(
    cls_score: Tensor, centerness: Tensor | None, score: Score, score_thr: float
) -> tuple[Tensor, Tensor]:
    """Ranks and scores of every (prior, class) pair of a level.

    Both released programs rank candidates by the product of class and center-ness probability, and
    differ in which pairs are candidates and in the score that a detection is given.

    Args:
        cls_score: (..., C, h, w) class logits.
        centerness: (..., 1, h, w) center-ness logits; None: a head without, as if all were 1.
        score: 'product' (plain): a pair is a candidate if its class probability is above the
            threshold, its score is the product; 'sqrt' (fused): it is one if the product is above,
            its score is the product's root.
        score_thr: the threshold.

    Returns:
        Ranks, NO_CANDIDATE for pairs that are none, and scores: (..., h * w, C) each.
    """
    probability = flatten_points(cls_score).sigmoid()
    product = probability
    if centerness is not None:
        product = probability * flatten_points(centerness).sigmoid()
    decisive, scores = (product, product.sqrt()) if score == "sqrt" else (probability, product)
    return product.where(decisive > score_thr, NO_CANDIDATE), scores


def check_whole_image(meta: dict[str, Any]) -> None:
    """Check that the image inside the batch's padding is the original one, resized.

    Args:
        meta: ``img_shape`` and, where known, ``ori_shape`` and ``scale_factor`` as (x, y).

    Raises:
        ValueError: if a transform has padded or cropped it: masks would be stretched.
    """
    if "ori_shape" not in meta or "scale_factor" not in meta:
        return
    (height, width), (x, y) = meta["ori_shape"][:2], meta["scale_factor"]
    expected, found = (height * y, width * x), meta["img_shape"][:2]
    if any(abs(side - want) >= 1 for side, want in zip(found, expected, strict=True)):
        raise ValueError(
            f"img_shape {tuple(found)} is not ori_shape {(height, width)} times the scale factor "
            f"{(y, x)}: remove what pads or crops (Pad) from the test pipeline, the data "
            "preprocessor pads with pad_size_divisor=32"
        )


def clips_first(test_cfg: ConfigDict) -> bool:
    """Whether boxes are clipped to the image before overlaps are suppressed."""
    before: bool = test_cfg.get("clip_boxes", "before_nms") == "before_nms"
    return before


def ends_inclusive(test_cfg: ConfigDict) -> bool:
    """Whether a box's far sides are its last pixel instead of that pixel's end."""
    inclusive: bool = test_cfg.get("inclusive_boxes", False)
    return inclusive


def last_corner(img_shape: Sequence[int], inclusive: bool) -> tuple[int, int]:
    """The largest (y, x) that a box may have.

    Args:
        img_shape: (height, width, ...) of the image.
        inclusive: see `ends_inclusive` (the released plain program).
    """
    height, width = img_shape[:2]
    return (height - 1, width - 1) if inclusive else (height, width)


def clip_boxes(bboxes: Tensor, corner: tuple[int, int]) -> Tensor:
    """Boxes (K, 4) with no side before 0 or beyond the corner (y, x)."""
    bottom, right = corner
    x1, y1, x2, y2 = bboxes.unbind(dim=1)
    return torch.stack(
        [x1.clamp(0, right), y1.clamp(0, bottom), x2.clamp(0, right), y2.clamp(0, bottom)], dim=1
    )


def has_area(bboxes: Tensor) -> Tensor:
    """Whether boxes have width and height: (K,) bool."""
    return (bboxes[:, 2:] > bboxes[:, :2]).all(dim=1)


def clip_detections(results: InstanceData, corner: tuple[int, int]) -> InstanceData:
    """Clip the boxes of detections, and drop those of which nothing is left (fused)."""
    results.bboxes = clip_boxes(results.bboxes, corner)
    return results[has_area(results.bboxes)]


def exclusive_boxes(bboxes: Tensor, scale_factor: Sequence[float], inclusive: bool) -> Tensor:
    """Boxes in pixels of the original image, as COCO and MMDetection measure them.

    Args:
        bboxes: (K, 4) in pixels of the network input.
        scale_factor: (x, y) from the original image to the network input.
        inclusive: whether the far sides are the box's last pixel; to them 1 is added, after
            scaling.
    """
    boxes: Tensor = scale_boxes(bboxes, [1 / factor for factor in scale_factor])
    return boxes + boxes.new_tensor([0, 0, 1, 1]) if inclusive else boxes
