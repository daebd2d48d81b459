"""What any dense detection head needs to become a proposal head (paper section 3.2).

Shapes used in this module:

    N: images, D: embedding channels, h, w: size of a level, P: priors of all levels, G: instances,
    K: proposals that learn a mask
"""

from collections.abc import Callable
from typing import Any, get_args

import torch
from mmdet.models.utils import filter_scores_and_topk, select_single_mlvl
from mmdet.structures.bbox import bbox_overlaps
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from ..functional.assignment import BACKGROUND, best_proposals, draw_proposals
from ..functional.geometry import flatten_levels, flatten_points, per_point, prior_centers
from ..functional.proposal_frame import UNIT_MARGINS, CouplingUnit, proposal_frames
from ..layers import POSITIONED, ProposalBranch
from ..options import (
    Embedding,
    MaskProposals,
    check_count,
    check_embed_dim,
    check_option,
    check_positive,
)
from .detections import (
    NO_CANDIDATE,
    candidate_scores,
    clip_boxes,
    clip_detections,
    clips_first,
    ends_inclusive,
    last_corner,
)


def best_fitting_proposals(gt_inds: Tensor, boxes: Tensor, gt_bboxes: Tensor) -> Tensor:
    """For each instance the point whose predicted box has the highest IoU with the instance's.

    The IoU is MMDetection's; the released plain program's, of boxes from x1 to x2 inclusive,
    differs a little.

    Args:
        gt_inds: (P,) from `assign_points`.
        boxes: (P, 4) predicted, in pixels.
        gt_bboxes: (G, 4).

    Returns:
        (K,) point indices in the order of the instances, K <= G.
    """
    positive = gt_inds != BACKGROUND
    ious = boxes.new_zeros(len(boxes))
    ious[positive] = bbox_overlaps(boxes[positive], gt_bboxes[gt_inds[positive]], is_aligned=True)
    best = best_proposals(gt_inds, ious, len(gt_bboxes))
    return best[best != BACKGROUND]


def check_ground_truth(
    gt_instances: InstanceData, num_classes: int, batch_input_shape: tuple[int, int]
) -> None:
    """Check one image's ground truth before the losses use it.

    Args:
        gt_instances: with ``labels`` and, as padded by the data preprocessor, ``masks``.
        num_classes: of the box head.
        batch_input_shape: (height, width) of the padded network input.

    Raises:
        ValueError: if masks are missing or not padded to the network input, or a label is outside
            ``[0, num_classes)``.
    """
    if "masks" not in gt_instances:
        raise ValueError(
            "the ground truth has boxes but no masks, and EmbedMask learns from masks: set "
            "with_mask=True in the LoadAnnotations of the training pipeline"
        )
    masks = gt_instances.masks
    if (masks.height, masks.width) != tuple(batch_input_shape):
        raise ValueError(
            f"masks are {masks.height} x {masks.width} but the padded images are "
            f"{batch_input_shape[0]} x {batch_input_shape[1]}: set data_preprocessor.pad_mask=True"
        )
    labels = gt_instances.labels
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ValueError(
            f"ground-truth labels range from {int(labels.min())} to {int(labels.max())}, but "
            f"bbox_head.num_classes={num_classes}: set it to the number of the dataset's classes"
        )


class CoupledHead:
    """Mixin: gives a dense head of MMDetection a proposal embedding and a proposal margin.

    Placed before the head in the bases, it adds the proposal branch to the head's layers, keeps the
    proposals that learn a mask while the head computes its losses, and lets embedding and margin
    ride along to the detections. The head predicts one box a location, and

    - has a ``forward`` of class, box and center-ness maps (None: a head without), then those of
      ``proposal_branch``, by level;
    - calls `_remember_assignment` once an image, in their order, while it makes targets;
    - overrides `_decode_training_boxes`.

    Args:
        embed_dim: D with both parts of the embedding, the same as the pixel head's.
        embedding: 'both' parts, one part alone, or 'coord_conv' (paper Table 3).
        learnable_margin: False fixes all margins at their prior (paper Table 3).
        coupling_unit: unit of the proposals' spatial-aware offset and margin: the 'image' (paper),
            the 'level' or the 'box' (ours). It is nothing to embeddings without a position.
        prior_margin: distance in one embedding channel at which P = 0.5 before training.
        aware_prior_margin: the same of the spatial-aware channels, in their unit; None:
            ``prior_margin`` in the image's, 3 strides, or 1 half side: the ellipse in the box.
        margin_reduce_factor: divisor of the box tower before the margin's convolutions.
        reduce_channels: channels of the 1x1 convolutions of the proposal branch (fused: 128).
        mask_proposals: which positives learn a mask: of each instance the one whose predicted box
            fits 'best' (plain), or 'all' of them (fused).
        max_mask_proposals: of 'all', at most this many per GPU, drawn at random.
        **detector_args: arguments of the head, which refuses those it does not know.
    """

    # Of the dense head that follows this mixin in the bases.
    num_classes: int
    feat_channels: int
    prior_generator: Any
    bbox_coder: Any
    test_cfg: ConfigDict
    _bbox_post_process: Callable[..., InstanceData]

    def __init__(
        self,
        *,
        embed_dim: int = 16,
        embedding: Embedding = "both",
        learnable_margin: bool = True,
        coupling_unit: CouplingUnit = "image",
        prior_margin: float = 2.0,
        aware_prior_margin: float | None = None,
        margin_reduce_factor: float = 32.0,
        reduce_channels: int | None = None,
        mask_proposals: MaskProposals = "best",
        max_mask_proposals: int = 500,
        **detector_args: Any,
    ) -> None:
        super().__init__(**detector_args)
        self.embed_dim = check_embed_dim(embed_dim)
        self.embedding = check_option("embedding", embedding, get_args(Embedding))
        check_option("learnable_margin", learnable_margin, (True, False))
        self.coupling_unit = check_option("coupling_unit", coupling_unit, get_args(CouplingUnit))
        check_positive("prior_margin", prior_margin)
        if aware_prior_margin is None and embedding in POSITIONED:
            aware_prior_margin = UNIT_MARGINS.get(coupling_unit)
        elif aware_prior_margin is not None:
            check_positive("aware_prior_margin", aware_prior_margin)
        check_positive("margin_reduce_factor", margin_reduce_factor)
        if reduce_channels is not None:
            check_count("reduce_channels", reduce_channels)
        self.mask_proposals = check_option(
            "mask_proposals", mask_proposals, get_args(MaskProposals)
        )
        self.max_mask_proposals = check_count("max_mask_proposals", max_mask_proposals)
        self.proposal_branch = ProposalBranch(
            self.feat_channels,
            self.embed_dim,
            self.level_strides,
            embedding=self.embedding,
            learnable_margin=learnable_margin,
            prior_margin=prior_margin,
            aware_prior_margin=aware_prior_margin,
            margin_reduce_factor=margin_reduce_factor,
            reduce_channels=reduce_channels,
        )
        # Written by the assignment and read by `loss_by_feat`; (P,) of each image of the batch.
        self._gt_inds: list[Tensor] = []
        # Written by `loss_by_feat` and handed over by `get_positive_infos`.
        self._positive_infos: list[InstanceData] | None = None

    @property
    def level_strides(self) -> list[int]:
        """Stride of every level in pixels."""
        return [stride[0] for stride in self.prior_generator.strides]

    def own_levels(self, x: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Levels of the neck that have the head's strides: all but a finer P2."""
        return x[-len(self.level_strides) :]

    def level_priors(self, levels: list[Tensor]) -> list[Tensor]:
        """Points (P, 2) or anchors (P, 4) of every level, like the maps in dtype and device."""
        priors: list[Tensor] = self.prior_generator.grid_priors(
            [level.shape[-2:] for level in levels], levels[0].dtype, levels[0].device
        )
        return priors

    def loss_by_feat(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        centernesses: list[Tensor] | None,
        embeddings: list[Tensor],
        margins: list[Tensor],
        batch_gt_instances: list[InstanceData],
        batch_img_metas: list[dict[str, Any]],
        batch_gt_instances_ignore: list[InstanceData] | None = None,
    ) -> dict[str, Tensor]:
        """The detector's losses; keeps the proposals that learn a mask for `get_positive_infos`.

        Args:
            cls_scores: outputs of `forward`, as the four that follow.
            bbox_preds: see `forward`.
            centernesses: see `forward`.
            embeddings: see `forward`.
            margins: see `forward`.
            batch_gt_instances: with ``bboxes`` (G, 4), ``labels`` (G,) and ``masks``, padded.
            batch_img_metas: with ``batch_input_shape``.
            batch_gt_instances_ignore: see the detector's head.

        Returns:
            ``loss_cls``, ``loss_bbox``, and ``loss_centerness`` of a head with center-ness.

        Raises:
            ValueError: if masks are missing, not padded, or labels do not fit ``num_classes``.
            RuntimeError: if the head did not remember one assignment an image.
        """
        for gt_instances, meta in zip(batch_gt_instances, batch_img_metas, strict=True):
            check_ground_truth(gt_instances, self.num_classes, meta["batch_input_shape"])
        self._gt_inds = []
        losses: dict[str, Tensor] = super().loss_by_feat(  # type: ignore[misc]  # of the head
            cls_scores,
            bbox_preds,
            *([] if centernesses is None else [centernesses]),
            batch_gt_instances,
            batch_img_metas,
            batch_gt_instances_ignore,
        )
        if len(self._gt_inds) != len(batch_gt_instances):
            raise RuntimeError(
                f"{type(self).__name__} remembered {len(self._gt_inds)} assignments of "
                f"{len(batch_gt_instances)} images: while it makes targets it must call "
                "_remember_assignment once an image, in their order"
            )
        self._positive_infos = self._choose_proposals(
            bbox_preds, embeddings, margins, batch_gt_instances
        )
        self._gt_inds = []
        return losses

    def get_positive_infos(self) -> list[InstanceData]:
        """Hand over the proposals that learn a mask, once per loss.

        Returns:
            For every image ``gt_inds`` (K,), ``positions`` (K, 2) and ``units`` (K, 2) in pixels
            (see `proposal_frames`), ``proposal_embeddings`` (K, D) without position and
            ``proposal_margins`` (K, D) in these units.

        Raises:
            RuntimeError: if no loss was computed since the last call.
        """
        if self._positive_infos is None:
            raise RuntimeError(
                "get_positive_infos() hands over what loss() kept: call loss() first"
            )
        positive_infos, self._positive_infos = self._positive_infos, None
        return positive_infos

    def _remember_assignment(self, gt_inds: Tensor) -> None:
        """Keep one image's assignment (P,) until `loss_by_feat` has read it."""
        self._gt_inds.append(gt_inds)

    def _decode_training_boxes(self, bbox_preds: list[Tensor], mlvl_priors: list[Tensor]) -> Tensor:
        """Boxes (N, P, 4) in pixels from the outputs that the losses were given."""
        raise NotImplementedError

    def _choose_proposals(
        self,
        bbox_preds: list[Tensor],
        embeddings: list[Tensor],
        margins: list[Tensor],
        batch_gt_instances: list[InstanceData],
    ) -> list[InstanceData]:
        """Choose the proposals that learn a mask; see `get_positive_infos` for the result."""
        mlvl_priors = self.level_priors(bbox_preds)
        boxes = self._decode_training_boxes([b.detach() for b in bbox_preds], mlvl_priors)
        if self.mask_proposals == "all":
            chosen = draw_proposals(self._gt_inds, self.max_mask_proposals)
        else:
            chosen = [
                best_fitting_proposals(gt_inds, image_boxes, gt_instances.bboxes)
                for gt_inds, image_boxes, gt_instances in zip(
                    self._gt_inds, boxes, batch_gt_instances, strict=True
                )
            ]
        centers = prior_centers(torch.cat(mlvl_priors))
        strides = per_point(self.level_strides, [len(level) for level in mlvl_priors], centers)
        all_embeddings, all_margins = flatten_levels(embeddings), flatten_levels(margins)
        positive_infos = []
        for image, index in enumerate(chosen):
            positions, units = proposal_frames(
                self.coupling_unit, centers[index], strides[index], boxes[image, index]
            )
            positive_infos.append(
                InstanceData(
                    gt_inds=self._gt_inds[image][index],
                    positions=positions,
                    units=units,
                    proposal_embeddings=all_embeddings[image, index],
                    proposal_margins=all_margins[image, index],
                )
            )
        return positive_infos

    def predict_by_feat(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        centernesses: list[Tensor] | None,
        embeddings: list[Tensor],
        margins: list[Tensor],
        batch_img_metas: list[dict[str, Any]],
        cfg: ConfigDict | None = None,
        rescale: bool = False,
        with_nms: bool = True,
    ) -> list[InstanceData]:
        """The detector's boxes, with each survivor's frame, embedding and margin riding along.

        Args:
            cls_scores: outputs of `forward`, as the four that follow.
            bbox_preds: see `forward`.
            centernesses: see `forward`.
            embeddings: see `forward`.
            margins: see `forward`.
            batch_img_metas: with ``img_shape``, and ``scale_factor`` if ``rescale``.
            cfg: replaces ``test_cfg``.
            rescale: boxes in pixels of the original image.
            with_nms: False: all candidates, for test-time augmentation.

        Returns:
            For every image ``bboxes``, ``scores``, ``labels``, and as `get_positive_infos`
            ``positions``, ``units``, ``proposal_embeddings``, ``proposal_margins``. Boxes are as
            the network learned them: with ``cfg.inclusive_boxes`` their far sides are their last
            pixel.
        """
        cfg = self.test_cfg if cfg is None else cfg
        clip_first, inclusive = clips_first(cfg), ends_inclusive(cfg)
        # Of the boxes' type, not the class logits': half precision cannot hold whole pixels.
        mlvl_priors = self.level_priors(bbox_preds)
        results_list = []
        for image, meta in enumerate(batch_img_metas):
            maps = (cls_scores, bbox_preds, embeddings, margins)
            levels = zip(*(select_single_mlvl(m, image) for m in maps), strict=True)
            level_centernesses = (
                [None] * len(cls_scores)
                if centernesses is None
                else select_single_mlvl(centernesses, image)
            )
            results = InstanceData.cat(
                [
                    self._candidates(cfg, level, centerness, priors, stride)
                    for level, centerness, priors, stride in zip(
                        levels, level_centernesses, mlvl_priors, self.level_strides, strict=True
                    )
                ]
            )
            priors = results.pop("priors")
            results.bboxes = self.bbox_coder.decode(priors, results.bboxes)
            results.positions, results.units = proposal_frames(
                self.coupling_unit, prior_centers(priors), results.pop("strides"), results.bboxes
            )
            if clip_first:
                results.bboxes = clip_boxes(
                    results.bboxes, last_corner(meta["img_shape"], inclusive)
                )
            results = self._bbox_post_process(results, cfg, rescale, with_nms, meta)
            if not clip_first:
                shape = meta["ori_shape"] if rescale else meta["img_shape"]
                results = clip_detections(results, last_corner(shape, inclusive))
            results_list.append(results)
        return results_list

    def _candidates(
        self,
        cfg: ConfigDict,
        maps: tuple[Tensor, Tensor, Tensor, Tensor],
        centerness: Tensor | None,
        priors: Tensor,
        stride: int,
    ) -> InstanceData:
        """The best ranked (prior, class) pairs of one level of one image, boxes not decoded."""
        cls_score, bbox_pred, embedding, margin = maps
        score = cfg.get("score", "product")
        ranks, scores = candidate_scores(cls_score, centerness, score, cfg.score_thr)
        _, labels, kept, _ = filter_scores_and_topk(ranks, NO_CANDIDATE, cfg.nms_pre)
        return InstanceData(
            scores=scores[kept, labels],
            labels=labels,
            bboxes=flatten_points(bbox_pred)[kept],
            priors=priors[kept],
            strides=bbox_pred.new_full(kept.shape, stride),
            proposal_embeddings=flatten_points(embedding)[kept],
            proposal_margins=flatten_points(margin)[kept],
        )
