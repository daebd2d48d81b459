"""FCOS head whose proposals carry an embedding and a margin (paper section 3.2).

Shapes used in this module:

    N: images, D: embedding channels, h, w: size of a level, P: points of all levels, G: instances
"""

from typing import Any, get_args

import torch
from mmdet.models.dense_heads import FCOSHead
from mmdet.models.utils import multi_apply
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ..functional.assignment import BACKGROUND, assign_points, distances_to_sides
from ..functional.geometry import flatten_levels, per_point
from ..functional.mask_targets import mask_centroids, masks_at_points
from ..options import SamplingCenter, check_option
from .coupled_head import CoupledHead


@MODELS.register_module()
class EmbedMaskHead(CoupledHead, FCOSHead):
    """Proposal head of EmbedMask: FCOS with a proposal embedding and a proposal margin.

    Args:
        num_classes: number of classes.
        in_channels: channels of the neck's levels.
        sample_in_mask: a point is positive only if the instance's mask covers it (plain).
        sampling_center: positives lie around the middle of the 'box' (plain) or the centroid of
            the 'mask' (fused).
        center_sampling: see FCOSHead; the paper's defaults.
        norm_on_bbox: see FCOSHead; the paper's defaults.
        centerness_on_reg: see FCOSHead; the paper's defaults.
        conv_bias: see FCOSHead; the paper's defaults.
        loss_bbox: see FCOSHead; the paper's defaults.
        **args: other arguments of CoupledHead and of FCOSHead, which refuses those it does not
            know.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        sample_in_mask: bool = True,
        sampling_center: SamplingCenter = "box",
        center_sampling: bool = True,
        norm_on_bbox: bool = True,
        centerness_on_reg: bool = True,
        conv_bias: bool = True,
        loss_bbox: ConfigDict | dict[str, Any] = dict(type="GIoULoss", loss_weight=1.0),  # noqa: B006
        **args: Any,
    ) -> None:
        check_option("sample_in_mask", sample_in_mask, (True, False))
        check_option("sampling_center", sampling_center, get_args(SamplingCenter))
        if sampling_center == "mask" and not center_sampling:
            raise ValueError(
                "sampling_center='mask' needs center_sampling=True: without it positives lie "
                "anywhere in the box"
            )
        super().__init__(
            num_classes=num_classes,
            in_channels=in_channels,
            center_sampling=center_sampling,
            norm_on_bbox=norm_on_bbox,
            centerness_on_reg=centerness_on_reg,
            conv_bias=conv_bias,
            loss_bbox=loss_bbox,
            **args,
        )
        self.sample_in_mask = sample_in_mask
        self.sampling_center = sampling_center

    def forward(self, x: tuple[Tensor, ...]) -> tuple[list[Tensor], ...]:
        """Predict every level.

        Args:
            x: levels of the neck, each (N, C, h, w); a finer P2 is the pixel head's alone.

        Returns:
            For every level: class logits (N, num_classes, h, w), box distances (N, 4, h, w) (in
            strides while training, else in pixels), center-ness logits (N, 1, h, w), proposal
            embeddings without position (N, D, h, w), proposal margins (N, D, h, w).
        """
        levels = range(len(self.strides))
        outputs: tuple[list[Tensor], ...] = multi_apply(
            self.forward_single, self.own_levels(x), self.scales, self.strides, levels
        )
        return outputs

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

    def _get_targets_single(
        self,
        gt_instances: InstanceData,
        points: Tensor,
        regress_ranges: Tensor,
        num_points_per_lvl: list[int],
    ) -> tuple[Tensor, Tensor]:
        """Assign one image's points, with the mask where asked for, and remember the assignment.

        Returns:
            Labels (P,), ``num_classes`` for background, and box distances (P, 4) in pixels.
        """
        bboxes, labels = gt_instances.bboxes, gt_instances.labels
        in_mask, centers = None, None
        if len(bboxes) and (self.sample_in_mask or self.sampling_center == "mask"):
            masks = torch.from_numpy(gt_instances.masks.to_ndarray())  # (G, H, W) on the CPU
            if self.sample_in_mask:
                in_mask = masks_at_points(masks, points.to(masks.device)).to(points.device)
            if self.sampling_center == "mask":
                centers = mask_centroids(masks).to(points.device)
        gt_inds = assign_points(
            points,
            per_point(self.strides, num_points_per_lvl, points),
            regress_ranges,
            bboxes,
            center_radius=self.center_sample_radius if self.center_sampling else None,
            in_mask=in_mask,
            centers=centers,
        )
        self._remember_assignment(gt_inds)
        if len(bboxes) == 0:
            return labels.new_full((len(points),), self.num_classes), bboxes.new_zeros(
                len(points), 4
            )
        matched = gt_inds.clamp(min=0)
        labels = labels[matched].where(gt_inds != BACKGROUND, self.num_classes)
        return labels, distances_to_sides(points, bboxes[matched])

    def _decode_training_boxes(self, bbox_preds: list[Tensor], mlvl_priors: list[Tensor]) -> Tensor:
        """Boxes (N, P, 4) in pixels from distances, which are in strides while training."""
        points = torch.cat(mlvl_priors)
        sides = flatten_levels(bbox_preds)
        # A loss in eval mode has them in pixels.
        if self.norm_on_bbox and self.training:
            lengths = [len(level) for level in mlvl_priors]
            sides = sides * per_point(self.strides, lengths, points)[:, None]
        boxes: Tensor = self.bbox_coder.decode(points.expand(len(sides), -1, -1), sides)
        return boxes
