"""Detections of several views of an image become those of the image.

Shapes used in this module:

    V: views, n: detections of one view, K: detections of the image, h, w: a view's mask stride
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from mmcv.ops import batched_nms
from mmdet.structures.bbox import bbox_flip, bbox_overlaps
from torch import Tensor

from ..functional.geometry import MASK_STRIDE
from ..functional.resize import ResizeMode, maps_at_size

FlipDirection = Literal["horizontal", "vertical", "diagonal"]

NONE = -1
"""Stands for the member of a view in which nothing was merged."""


@dataclass(frozen=True)
class View:
    """What was detected in one view: the image resized, flipped or both.

    Args:
        bboxes: (n, 4) in pixels of the original image, flipped as the view is.
        scores: (n,).
        labels: (n,).
        probability: (n, h, w) at the mask stride of the padded network input.
        img_shape: (height, width) of the network input inside the padding.
        flip_direction: None: not flipped.
        mask_stride: in pixels of the network input.
    """

    bboxes: Tensor
    scores: Tensor
    labels: Tensor
    probability: Tensor
    img_shape: tuple[int, int]
    flip_direction: FlipDirection | None
    mask_stride: int = MASK_STRIDE

    def unflipped_bboxes(self, size: tuple[int, int]) -> Tensor:
        """Boxes (n, 4) in pixels of the original image of this (height, width)."""
        if self.flip_direction is None:
            return self.bboxes
        boxes: Tensor = bbox_flip(self.bboxes, size, self.flip_direction)
        return boxes

    def unflipped_probability(
        self, index: int, size: tuple[int, int], resize: ResizeMode
    ) -> Tensor:
        """Probability (*size) of one detection over the original image."""
        maps = self.probability[index : index + 1]
        probability = maps_at_size(maps, self.img_shape, size, resize, stride=self.mask_stride)[0]
        dims = dict(horizontal=(1,), vertical=(0,), diagonal=(0, 1))
        return probability.flip(dims[self.flip_direction]) if self.flip_direction else probability


@dataclass(frozen=True)
class MergedDetections:
    """Detections of the image, the best first.

    Args:
        bboxes: (K, 4) in pixels of the original image.
        scores: (K,).
        labels: (K,).
        members: (K, V) which detection of each view was merged into it, or NONE.
    """

    bboxes: Tensor
    scores: Tensor
    labels: Tensor
    members: Tensor


def merge_detections(
    views: Sequence[View],
    size: tuple[int, int],
    iou_threshold: float,
    max_per_img: int,
) -> MergedDetections:
    """Choose the best boxes of all views; each is joined by the best fitting box of every view.

    Boxes are suppressed across views as a detector suppresses its own. What is left stands for the
    detections of the same class, one a view, that overlap it by more than the same threshold: its
    box is their mean, weighted by score, and its score the sum of theirs over the number of views.
    So what one view alone has seen counts less.

    Args:
        views: V of the image.
        size: (height, width) of the original image.
        iou_threshold: of suppression, and of joining.
        max_per_img: at most so many are left.
    """
    boxes = [view.unflipped_bboxes(size) for view in views]
    scores, labels = (torch.cat([getattr(v, name) for v in views]) for name in ("scores", "labels"))
    kept = _suppress(torch.cat(boxes), scores, labels, iou_threshold)[:max_per_img]
    best, labels = torch.cat(boxes)[kept], labels[kept]
    members = torch.stack(
        [
            _best_fitting(best, labels, view_boxes, view.labels, threshold=iou_threshold)
            for view, view_boxes in zip(views, boxes, strict=True)
        ],
        dim=1,
    )
    # In its own view every box is itself, even one without an area, which overlaps nothing.
    view, index = _origin(kept, [len(b) for b in boxes])
    members[torch.arange(len(kept), device=kept.device), view] = index
    weights = torch.stack(
        [_chosen(view.scores, members[:, v]) for v, view in enumerate(views)], dim=1
    )  # (K, V), zero where a view has no member
    chosen = torch.stack([_chosen(b, members[:, v]) for v, b in enumerate(boxes)], dim=1)
    mean = (weights[..., None] * chosen).sum(dim=1) / weights.sum(dim=1, keepdim=True)
    merged = weights.sum(dim=1) / len(views)
    order = merged.argsort(descending=True, stable=True)
    return MergedDetections(mean[order], merged[order], labels[order], members[order])


def mean_probability(
    views: Sequence[View], members: Sequence[int], size: tuple[int, int], resize: ResizeMode
) -> Tensor:
    """Mean probability of one detection over the views that have seen it.

    Args:
        views: V of the image.
        members: of the detection, one a view, as `MergedDetections` has them; on the host:
            reading each from a GPU would wait for it.
        size: (height, width) of the original image.
        resize: how probabilities are brought to the size of the network input.

    Returns:
        (*size).
    """
    seen = [(view, member) for view, member in zip(views, members, strict=True) if member != NONE]
    return torch.stack([v.unflipped_probability(m, size, resize) for v, m in seen]).mean(dim=0)


def _suppress(boxes: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float) -> Tensor:
    """Positions of the boxes that are left, the best first."""
    if len(boxes) == 0:  # MMCV's function takes their maximum
        return labels
    kept: Tensor
    _, kept = batched_nms(boxes, scores, labels, dict(type="nms", iou_threshold=iou_threshold))
    return kept


def _best_fitting(
    boxes: Tensor,
    labels: Tensor,
    candidates: Tensor,
    candidate_labels: Tensor,
    *,
    threshold: float,
) -> Tensor:
    """(K,) candidate of the same class with the highest IoU above the threshold, or NONE."""
    if len(candidates) == 0:
        return labels.new_full((len(boxes),), NONE)
    ious: Tensor = bbox_overlaps(boxes, candidates)
    ious = ious.where(labels[:, None] == candidate_labels, -1.0)
    value, index = ious.max(dim=1)
    return index.where(value > threshold, NONE)


def _origin(kept: Tensor, counts: Sequence[int]) -> tuple[Tensor, Tensor]:
    """View (K,) and position therein (K,) of positions in all views' detections."""
    ends = torch.tensor(counts, device=kept.device).cumsum(dim=0)
    view = torch.searchsorted(ends, kept, right=True)
    return view, kept - (ends - torch.tensor(counts, device=kept.device))[view]


def _chosen(values: Tensor, members: Tensor) -> Tensor:
    """Values (K, ...) of the members, zero where there is none."""
    if len(values) == 0:
        return values.new_zeros((len(members), *values.shape[1:]))
    chosen = values[members.clamp(min=0)]
    mask = (members != NONE).reshape(-1, *[1] * (chosen.ndim - 1))
    return chosen * mask
