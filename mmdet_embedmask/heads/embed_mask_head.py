"""FCOS head whose proposals carry an embedding and a margin (paper section 3.2).

Shapes used in this module:

    N: images, D: embedding channels, h, w: size of a level, P: points of all levels, G: instances,
    K: proposals that learn a mask
"""

from typing import Any

import torch
from mmdet.models.dense_heads import FCOSHead
from mmdet.models.utils import filter_scores_and_topk, multi_apply, select_single_mlvl
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ..assignment import BACKGROUND, assign_points, distances_to_sides, draw_proposals
from ..layers import ProposalBranch
from ..mask_targets import masks_at_points
from ..validation import check_embed_dim, check_option, check_positive
from .ground_truth import check_ground_truth, ground_truth_masks
from .levels import flatten_levels, flatten_points, per_point
from .mask_proposals import best_fitting_proposals, gather_proposals

MASK_PROPOSALS = ("best", "all")


@MODELS.register_module()
class EmbedMaskHead(FCOSHead):
    """Proposal head of EmbedMask: FCOS with a proposal embedding and a proposal margin.

    Args:
        num_classes: number of classes.
        in_channels: channels of the neck's levels.
        embed_dim: D, the same as the pixel head's.
        learnable_margin: False fixes all margins at their prior (paper Table 3).
        prior_margin: distance in one embedding channel at which P = 0.5 before training.
        margin_reduce_factor: divisor of the box tower before the margin's convolution.
        sample_in_mask: a point is positive only if the instance's mask covers it (released).
        mask_proposals: which positive points learn a mask: of each instance the one whose
            predicted box fits 'best' (Table 1), or 'all' of them (Table 2).
        max_mask_proposals: of 'all', at most this many per GPU, drawn at random.
        center_sampling: see FCOSHead; the paper's defaults.
        norm_on_bbox: see FCOSHead; the paper's defaults.
        centerness_on_reg: see FCOSHead; the paper's defaults.
        conv_bias: see FCOSHead; the paper's defaults.
        loss_bbox: see FCOSHead; the paper's defaults.
        **fcos_args: other arguments of FCOSHead, which refuses those it does not know.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        embed_dim: int = 16,
        learnable_margin: bool = True,
        prior_margin: float = 2.0,
        margin_reduce_factor: float = 32.0,
        sample_in_mask: bool = True,
        mask_proposals: str = "best",
        max_mask_proposals: int = 500,
        center_sampling: bool = True,
        norm_on_bbox: bool = True,
        centerness_on_reg: bool = True,
        conv_bias: bool = True,
        loss_bbox: ConfigDict | dict = dict(type="GIoULoss", loss_weight=1.0),  # noqa: B006
        **fcos_args: Any,
    ) -> None:
        self.embed_dim = check_embed_dim(embed_dim)
        self.learnable_margin = check_option("learnable_margin", learnable_margin, (True, False))
        self.prior_margin = check_positive("prior_margin", prior_margin)
        self.margin_reduce_factor = check_positive("margin_reduce_factor", margin_reduce_factor)
        self.sample_in_mask = check_option("sample_in_mask", sample_in_mask, (True, False))
        self.mask_proposals = check_option("mask_proposals", mask_proposals, MASK_PROPOSALS)
        self.max_mask_proposals = check_positive("max_mask_proposals", max_mask_proposals)
        # Written by the assignment and read by `loss_by_feat`; (P,) of each image of the batch.
        self._gt_inds: list[Tensor] = []
        # Written by `loss_by_feat` and handed over by `get_positive_infos`.
        self._positive_infos: list[InstanceData] | None = None
        super().__init__(
            num_classes=num_classes,
            in_channels=in_channels,
            center_sampling=center_sampling,
            norm_on_bbox=norm_on_bbox,
            centerness_on_reg=centerness_on_reg,
            conv_bias=conv_bias,
            loss_bbox=loss_bbox,
            **fcos_args,
        )

    def _init_layers(self) -> None:
        """Add the proposal branch to FCOS's layers."""
        super()._init_layers()
        self.proposal_branch = ProposalBranch(
            self.feat_channels,
            self.embed_dim,
            len(self.strides),
            self.learnable_margin,
            self.prior_margin,
            self.margin_reduce_factor,
        )

    def forward(self, x: tuple[Tensor, ...]) -> tuple[list[Tensor], ...]:
        """Predict every level.

        Args:
            x: levels of the neck, each (N, C, h, w).

        Returns:
            For every level: class logits (N, num_classes, h, w), box distances (N, 4, h, w) (in
            strides while training, else in pixels), center-ness logits (N, 1, h, w), proposal
            embeddings without position (N, D, h, w), proposal margins (N, D, h, w).
        """
        levels = range(len(self.strides))
        return multi_apply(self.forward_single, x, self.scales, self.strides, levels)

    def forward_single(
        self, x: Tensor, scale: nn.Module, stride: int, level: int
    ) -> tuple[Tensor, ...]:
        """Predict one level; see `forward`.

        FCOSHead.forward_single does not give its box tower away, hence its tail once more here.
        """
        cls_score, bbox_pred, cls_feat, reg_feat = super(FCOSHead, self).forward_single(x)
        centerness = self.conv_centerness(reg_feat if self.centerness_on_reg else cls_feat)
        bbox_pred = scale(bbox_pred)
        bbox_pred = bbox_pred.to(torch.promote_types(bbox_pred.dtype, torch.float32))
        if not self.norm_on_bbox:
            bbox_pred = bbox_pred.exp()
        else:
            bbox_pred = bbox_pred.clamp(min=0) * (1 if self.training else stride)
        return cls_score, bbox_pred, centerness, *self.proposal_branch(reg_feat, level)

    def loss_by_feat(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        centernesses: list[Tensor],
        embeddings: list[Tensor],
        margins: list[Tensor],
        batch_gt_instances: list[InstanceData],
        batch_img_metas: list[dict],
        batch_gt_instances_ignore: list[InstanceData] | None = None,
    ) -> dict[str, Tensor]:
        """FCOS's losses; keeps the proposals that learn a mask for `get_positive_infos`.

        Args:
            cls_scores: outputs of `forward`, as the four that follow.
            bbox_preds: see `forward`.
            centernesses: see `forward`.
            embeddings: see `forward`.
            margins: see `forward`.
            batch_gt_instances: with ``bboxes`` (G, 4), ``labels`` (G,) and ``masks``, padded.
            batch_img_metas: with ``batch_input_shape``.
            batch_gt_instances_ignore: not used, as in FCOSHead.

        Returns:
            ``loss_cls``, ``loss_bbox``, ``loss_centerness``.

        Raises:
            ValueError: if masks are missing, not padded, or labels do not fit ``num_classes``.
        """
        for gt_instances, meta in zip(batch_gt_instances, batch_img_metas, strict=True):
            check_ground_truth(gt_instances, self.num_classes, meta["batch_input_shape"])
        self._gt_inds = []
        losses = super().loss_by_feat(
            cls_scores,
            bbox_preds,
            centernesses,
            batch_gt_instances,
            batch_img_metas,
            batch_gt_instances_ignore,
        )
        self._positive_infos = self._choose_proposals(
            bbox_preds, embeddings, margins, batch_gt_instances
        )
        self._gt_inds = []
        return losses

    def get_positive_infos(self) -> list[InstanceData]:
        """Hand over the proposals that learn a mask, once per loss.

        Returns:
            For every image ``gt_inds`` (K,), ``priors`` (K, 2) in pixels, ``proposal_embeddings``
            (K, D) without position and ``proposal_margins`` (K, D).

        Raises:
            RuntimeError: if no loss was computed since the last call.
        """
        if self._positive_infos is None:
            raise RuntimeError(
                "get_positive_infos() hands over what loss() kept: call loss() first"
            )
        positive_infos, self._positive_infos = self._positive_infos, None
        return positive_infos

    def _get_targets_single(
        self,
        gt_instances: InstanceData,
        points: Tensor,
        regress_ranges: Tensor,
        num_points_per_lvl: list[int],
    ) -> tuple[Tensor, Tensor]:
        """Assign one image's points, inside masks if asked for, and remember the assignment.

        Returns:
            Labels (P,), ``num_classes`` for background, and box distances (P, 4) in pixels.
        """
        bboxes, labels = gt_instances.bboxes, gt_instances.labels
        in_mask = None
        if self.sample_in_mask and len(bboxes):
            masks = ground_truth_masks(gt_instances)
            in_mask = masks_at_points(masks, points.to(masks.device)).to(points.device)
        gt_inds = assign_points(
            points,
            per_point(self.strides, num_points_per_lvl, points),
            regress_ranges,
            bboxes,
            self.center_sample_radius if self.center_sampling else None,
            in_mask,
        )
        self._gt_inds.append(gt_inds)
        if len(bboxes) == 0:
            return labels.new_full((len(points),), self.num_classes), bboxes.new_zeros(
                len(points), 4
            )
        matched = gt_inds.clamp(min=0)
        labels = labels[matched].where(gt_inds != BACKGROUND, self.num_classes)
        return labels, distances_to_sides(points, bboxes[matched])

    def _choose_proposals(
        self,
        bbox_preds: list[Tensor],
        embeddings: list[Tensor],
        margins: list[Tensor],
        batch_gt_instances: list[InstanceData],
    ) -> list[InstanceData]:
        """Choose the proposals that learn a mask; see `get_positive_infos` for the result."""
        sizes = [level.shape[-2:] for level in bbox_preds]
        mlvl_points = self.prior_generator.grid_priors(
            sizes, dtype=bbox_preds[0].dtype, device=bbox_preds[0].device
        )
        points = torch.cat(mlvl_points)
        if self.mask_proposals == "all":
            chosen = draw_proposals(self._gt_inds, self.max_mask_proposals)
        else:
            strides = per_point(self.strides, [len(level) for level in mlvl_points], points)
            # Boxes are in strides only while training; a loss in eval mode has them in pixels.
            unit = strides[:, None] if self.norm_on_bbox and self.training else 1
            sides = flatten_levels(bbox_preds).detach() * unit
            boxes = self.bbox_coder.decode(points.expand(len(sides), -1, -1), sides)
            chosen = [
                best_fitting_proposals(gt_inds, image_boxes, gt_instances.bboxes)
                for gt_inds, image_boxes, gt_instances in zip(
                    self._gt_inds, boxes, batch_gt_instances, strict=True
                )
            ]
        return gather_proposals(
            chosen, self._gt_inds, points, flatten_levels(embeddings), flatten_levels(margins)
        )

    def predict_by_feat(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        centernesses: list[Tensor],
        embeddings: list[Tensor],
        margins: list[Tensor],
        batch_img_metas: list[dict],
        cfg: ConfigDict | None = None,
        rescale: bool = False,
        with_nms: bool = True,
    ) -> list[InstanceData]:
        """FCOS's boxes, with each survivor's prior, embedding and margin riding along.

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
            For every image ``bboxes``, ``scores``, ``labels``, ``priors``,
            ``proposal_embeddings``, ``proposal_margins``.
        """
        cfg = self.test_cfg if cfg is None else cfg
        mlvl_points = self.prior_generator.grid_priors(
            [level.shape[-2:] for level in cls_scores], cls_scores[0].dtype, cls_scores[0].device
        )
        results_list = []
        for image, meta in enumerate(batch_img_metas):
            outputs = (cls_scores, bbox_preds, centernesses, embeddings, margins)
            levels = zip(*(select_single_mlvl(o, image) for o in outputs), mlvl_points, strict=True)
            results = InstanceData.cat([self._candidates(*level, cfg) for level in levels])
            results.bboxes = self.bbox_coder.decode(
                results.priors, results.bboxes, max_shape=meta["img_shape"]
            )
            results_list.append(self._bbox_post_process(results, cfg, rescale, with_nms, meta))
        return results_list

    def _candidates(
        self,
        cls_score: Tensor,
        bbox_pred: Tensor,
        centerness: Tensor,
        embedding: Tensor,
        margin: Tensor,
        points: Tensor,
        cfg: ConfigDict,
    ) -> InstanceData:
        """The best scored (point, class) pairs of one level of one image, boxes not decoded."""
        scores = flatten_points(cls_score).sigmoid()
        scores, labels, kept, _ = filter_scores_and_topk(scores, cfg.score_thr, cfg.nms_pre)
        return InstanceData(
            scores=scores,
            labels=labels,
            score_factors=flatten_points(centerness)[kept, 0].sigmoid(),
            bboxes=flatten_points(bbox_pred)[kept],
            priors=points[kept],
            proposal_embeddings=flatten_points(embedding)[kept],
            proposal_margins=flatten_points(margin)[kept],
        )
