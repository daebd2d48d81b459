"""ATSS head whose proposals carry an embedding and a margin: the coupling is not tied to FCOS.

Shapes used in this module:

    N: images, D: embedding channels, h, w: size of a level, P: anchors of all levels
"""

from typing import Any

import torch
from mmdet.models.dense_heads import ATSSHead
from mmdet.models.utils import multi_apply
from mmdet.registry import MODELS
from torch import Tensor, nn

from ..functional.assignment import BACKGROUND
from ..functional.geometry import flatten_levels
from .coupled_head import CoupledHead


@MODELS.register_module()
class EmbedMaskATSSHead(CoupledHead, ATSSHead):
    """Proposal head on ATSS (Zhang et al., CVPR 2020), which chooses positives by IoU statistics.

    Args:
        num_classes: number of classes.
        in_channels: channels of the neck's levels.
        **args: other arguments of CoupledHead and of ATSSHead, which refuses those it does not
            know.

    Raises:
        ValueError: if the anchor generator has more than one anchor a location.
    """

    def __init__(self, num_classes: int, in_channels: int, **args: Any) -> None:
        super().__init__(num_classes=num_classes, in_channels=in_channels, **args)
        if self.num_base_priors != 1:
            raise ValueError(
                f"anchor_generator makes {self.num_base_priors} anchors a location, but a location "
                "has one embedding: take one ratio and scales_per_octave=1"
            )

    def forward(self, x: tuple[Tensor, ...]) -> tuple[list[Tensor] | None, ...]:
        """Predict every level.

        Args:
            x: levels of the neck, each (N, C, h, w); a finer P2 is the pixel head's alone.

        Returns:
            For every level: class logits (N, num_classes, h, w), box deltas (N, 4, h, w),
            center-ness logits (N, 1, h, w), proposal embeddings without position (N, D, h, w),
            proposal margins (N, D, h, w).
        """
        levels = range(len(self.scales))
        outputs: tuple[list[Tensor], ...] = multi_apply(
            self.forward_single, self.own_levels(x), self.scales, levels
        )
        return outputs

    def forward_single(self, x: Tensor, scale: nn.Module, level: int) -> tuple[Tensor, ...]:
        """Predict one level; see `forward`.

        ATSSHead.forward_single does not give its box tower away, hence the towers once more here.
        """
        cls_feat = reg_feat = x
        for cls_conv, reg_conv in zip(self.cls_convs, self.reg_convs, strict=True):
            cls_feat, reg_feat = cls_conv(cls_feat), reg_conv(reg_feat)
        bbox_pred = scale(self.atss_reg(reg_feat))
        bbox_pred = bbox_pred.to(torch.promote_types(bbox_pred.dtype, torch.float32))
        centerness = self.atss_centerness(reg_feat)
        branch = self.proposal_branch(reg_feat, level)
        return self.atss_cls(cls_feat), bbox_pred, centerness, *branch

    def _get_targets_single(self, *args: Any, **options: Any) -> tuple[Any, ...]:
        """Targets of one image, as ATSSHead makes them; remembers the assignment."""
        targets: tuple[Any, ...] = super()._get_targets_single(*args, **options)
        labels, sampling_result = targets[1], targets[-1]
        # Labels are of all anchors, the sampling result of the positive ones alone, in their order.
        positive = labels != self.num_classes
        gt_inds = torch.full_like(labels, BACKGROUND)
        gt_inds[positive] = sampling_result.pos_assigned_gt_inds
        self._remember_assignment(gt_inds)
        return targets

    def _decode_training_boxes(self, bbox_preds: list[Tensor], mlvl_priors: list[Tensor]) -> Tensor:
        """Boxes (N, P, 4) in pixels from deltas to the anchors."""
        deltas = flatten_levels(bbox_preds)
        anchors = torch.cat(mlvl_priors)
        return torch.stack([self.bbox_coder.decode(anchors, image) for image in deltas])
