"""EmbedMask as one function of an image, of operations that an ONNX file can hold.

Shapes used in this module:

    H, W: size of the image, P: priors of all levels, C: classes, D: embedding channels,
    K: detections
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmdet.models.data_preprocessors import DetDataPreprocessor
from torch import Tensor, nn

from ..embed_mask import EmbedMask
from ..functional.geometry import flatten_levels, per_point, prior_centers
from ..functional.proposal_frame import proposal_frames
from ..heads.detections import (
    NO_CANDIDATE,
    candidate_scores,
    clip_boxes,
    clips_first,
    ends_inclusive,
    has_area,
    last_corner,
)
from .nms import class_aware_nms

NMS_SETTINGS = ("type", "iou_threshold", "class_agnostic")
"""What ``test_cfg.nms`` may set in an exported model."""


class Candidates(NamedTuple):
    """Pairs of a prior and a class, before the suppression of overlaps.

    Args:
        points: index of the prior among all levels'.
        labels: class.
        scores: of the detection.
    """

    points: Tensor
    labels: Tensor
    scores: Tensor


class Detections(NamedTuple):
    """What `PixelEmbedHead.mask_probabilities` reads of detections.

    Not an InstanceData: that counts its values, whose number an exported graph does not know.

    Args:
        bboxes: (K, 4) in pixels of the network input.
        positions: (K, 2) of `proposal_frames`.
        units: (K, 2) of the same.
        proposal_embeddings: (K, D) without position.
        proposal_margins: (K, D).
    """

    bboxes: Tensor
    positions: Tensor
    units: Tensor
    proposal_embeddings: Tensor
    proposal_margins: Tensor


class OnnxEmbedMask(nn.Module):
    """The detector from an image to boxes and probability maps, by the model's ``test_cfg``.

    It computes what the model's own prediction does, with the model's own heads. It chooses
    candidates in another order: first the best of each level, then those of them that are
    candidates. So only one number depends on the image, however small a level is.

    Args:
        model: in eval mode.

    Raises:
        ValueError: if the model has a setting that is not exported.
    """

    def __init__(self, model: EmbedMask) -> None:
        super().__init__()
        check_exportable(model)
        self.model = model.eval()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Detect.

        Args:
            image: (H, W, 3) uint8 in blue, green, red, of the network input's size: resized as the
                test pipeline does, neither normalised nor padded.

        Returns:
            ``bboxes`` (K, 4) in pixels of the image, ``scores`` (K,), ``labels`` (K,), and mask
            ``probabilities`` (K, h, w) at the mask stride over the image padded at right and
            bottom. The best first.
        """
        features = self.model.extract_feat(self._network_input(image))
        (pixels,) = self.model.mask_head(features)
        detections, scores, labels = self._detect(features, image.shape[:2])
        probabilities = self.model.mask_head.mask_probabilities(pixels[0], detections)
        return detections.bboxes, scores, labels, probabilities

    def _network_input(self, image: Tensor) -> Tensor:
        """(1, 3, h, w) normalised and padded; the data preprocessor would read sizes as numbers."""
        preprocessor = self.model.data_preprocessor
        x = image.permute(2, 0, 1)
        if preprocessor._channel_conversion:
            x = x.flip(0)
        x = x.float()
        if preprocessor._enable_normalize:
            x = (x - preprocessor.mean) / preprocessor.std
        divisor = preprocessor.pad_size_divisor
        # Rounded up without negative numbers: ONNX divides those towards zero.
        height, width = ((side + divisor - 1) // divisor * divisor for side in image.shape[:2])
        padding = (0, width - image.shape[1], 0, height - image.shape[0])
        return F.pad(x, padding, value=preprocessor.pad_value)[None]

    def _detect(
        self, features: tuple[Tensor, ...], img_shape: Sequence[int]
    ) -> tuple[Detections, Tensor, Tensor]:
        """Detections of the one image, their scores (K,) and labels (K,)."""
        head, cfg = self.model.bbox_head, self.model.bbox_head.test_cfg
        cls_scores, bbox_preds, centernesses, embeddings, margins = head(features)
        points, labels, scores = self._candidates(cls_scores, centernesses)
        mlvl_priors = head.level_priors(bbox_preds)
        priors = torch.cat(mlvl_priors)
        lengths = [level.shape[0] for level in mlvl_priors]
        strides = per_point(head.level_strides, lengths, priors)
        (sides,) = flatten_levels(bbox_preds)
        corner, clip_first = last_corner(img_shape, ends_inclusive(cfg)), clips_first(cfg)
        boxes = head.bbox_coder.decode(priors, sides)
        positions, units = proposal_frames(
            head.coupling_unit, prior_centers(priors), strides, boxes
        )
        bboxes = (clip_boxes(boxes, corner) if clip_first else boxes)[points]
        if cfg.get("min_bbox_size", -1) >= 0:
            large = (bboxes[:, 2:] - bboxes[:, :2] > cfg.min_bbox_size).all(dim=1)
            (large,) = large.nonzero(as_tuple=True)
            bboxes, points, labels, scores = (x[large] for x in (bboxes, points, labels, scores))
        classes = torch.zeros_like(labels) if cfg.nms.get("class_agnostic", False) else labels
        kept = class_aware_nms(
            bboxes, scores, classes, iou_threshold=cfg.nms.iou_threshold, max_boxes=cfg.max_per_img
        )
        if not clip_first:
            bboxes = clip_boxes(bboxes, corner)
            kept = kept[has_area(bboxes[kept]).nonzero()[:, 0]]
        points = points[kept]
        detections = Detections(
            bboxes[kept],
            positions[points],
            units[points],
            flatten_levels(embeddings)[0, points],
            flatten_levels(margins)[0, points],
        )
        return detections, scores[kept], labels[kept]

    def _candidates(
        self, cls_scores: list[Tensor], centernesses: list[Tensor] | None
    ) -> Candidates:
        """The best pairs of every level, as `CoupledHead` chooses them."""
        cfg = self.model.bbox_head.test_cfg
        ranks, chosen, first = [], [], 0
        for level, cls_score in enumerate(cls_scores):
            centerness = None if centernesses is None else centernesses[level][0]
            rank, score = candidate_scores(
                cls_score[0], centerness, cfg.get("score", "product"), cfg.score_thr
            )
            num_points, num_classes = rank.shape
            # A level of a small image has fewer. Torch has not typed the function.
            count = torch.sym_min(  # type: ignore[no-untyped-call]
                cfg.nms_pre, num_points * num_classes
            )
            rank, index = rank.flatten().topk(count)
            ranks.append(rank)
            chosen.append(
                (first + index // num_classes, index % num_classes, score.flatten()[index])
            )
            first = first + num_points
        (kept,) = (torch.cat(ranks) > NO_CANDIDATE).nonzero(as_tuple=True)
        return Candidates(*(torch.cat(values)[kept] for values in zip(*chosen, strict=True)))


def check_exportable(model: EmbedMask) -> None:
    """Check that the exported function computes what the model does.

    Raises:
        ValueError: naming the setting that is not exported.
    """
    preprocessor, cfg = model.data_preprocessor, model.bbox_head.test_cfg
    if type(preprocessor) is not DetDataPreprocessor:
        raise ValueError(
            f"data_preprocessor is a {type(preprocessor).__name__}: only "
            "DetDataPreprocessor, which normalises and pads, is exported"
        )
    kind = cfg.nms.get("type", "nms")
    if kind != "nms" or set(cfg.nms) - set(NMS_SETTINGS):
        raise ValueError(
            f"test_cfg.nms={dict(cfg.nms)}: only dict(type='nms', iou_threshold=...) is exported, "
            "with class_agnostic or without"
        )
