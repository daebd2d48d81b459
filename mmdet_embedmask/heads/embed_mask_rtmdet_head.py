"""RTMDet head whose proposals carry an embedding and a margin (ours; Lyu et al., arXiv 2212.07784).

Shapes used in this module:

    N: images, D: embedding channels, h, w: size of a level
"""

from typing import Any, get_args

import torch
from mmdet.models.dense_heads.rtmdet_head import RTMDetSepBNHead
from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor

from ..options import SamplingCenter, check_option
from .embed_mask_atss_head import EmbedMaskATSSHead


@MODELS.register_module()
class EmbedMaskRTMDetHead(EmbedMaskATSSHead, RTMDetSepBNHead):
    """Proposal head on RTMDet: soft labels, quality focal loss, no center-ness.

    RTMDet's head is an ATSS head in MMDetection. Its targets of one image have the labels and the
    sampling result where ATSS's have them: EmbedMaskATSSHead remembers both alike.

    Args:
        num_classes: number of classes.
        in_channels: channels of the neck's levels.
        sampling_center: the assigner prefers points near the middle of the 'box' or the centroid of
            the 'mask' (RTMDet-Ins).
        **args: other arguments of CoupledHead and of RTMDetSepBNHead, which refuses those it does
            not know.

    Raises:
        ValueError: if the head has an objectness branch, or ``sampling_center`` is neither.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        sampling_center: SamplingCenter = "mask",
        **args: Any,
    ) -> None:
        super().__init__(num_classes=num_classes, in_channels=in_channels, **args)
        self.sampling_center = check_option(
            "sampling_center", sampling_center, get_args(SamplingCenter)
        )
        if self.with_objectness:
            raise ValueError(
                "with_objectness=True: a proposal has its class's probability as its score, set "
                "with_objectness=False"
            )

    def init_weights(self) -> None:
        """RTMDet's, which knows nothing of the proposal branch, then the branch's own."""
        super().init_weights()
        self.proposal_branch.init_weights()

    def forward(self, x: tuple[Tensor, ...]) -> tuple[list[Tensor] | None, ...]:
        """Predict every level.

        RTMDetSepBNHead.forward does not give its box towers away, hence the towers once more here.

        Args:
            x: levels of the neck, each (N, C, h, w); a finer P2 is the pixel head's alone.

        Returns:
            For every level: class logits (N, num_classes, h, w), box distances in pixels
            (N, 4, h, w), proposal embeddings without position (N, D, h, w), proposal margins
            (N, D, h, w); None in the place of center-ness, the third.
        """
        cls_scores, bbox_preds, embeddings, margins = [], [], [], []
        for level, (cls_feat, stride) in enumerate(
            zip(self.own_levels(x), self.level_strides, strict=True)
        ):
            reg_feat = cls_feat
            for cls_conv, reg_conv in zip(
                self.cls_convs[level], self.reg_convs[level], strict=True
            ):
                cls_feat, reg_feat = cls_conv(cls_feat), reg_conv(reg_feat)
            bbox_pred = self.rtm_reg[level](reg_feat)
            bbox_pred = bbox_pred.to(torch.promote_types(bbox_pred.dtype, torch.float32))
            if self.exp_on_reg:
                bbox_pred = bbox_pred.exp()
            embedding, margin = self.proposal_branch(reg_feat, level)
            cls_scores.append(self.rtm_cls[level](cls_feat))
            bbox_preds.append(bbox_pred * stride)
            embeddings.append(embedding)
            margins.append(margin)
        return cls_scores, bbox_preds, None, embeddings, margins

    def _get_targets_single(
        self,
        cls_scores: Tensor,
        bbox_preds: Tensor,
        flat_anchors: Tensor,
        valid_flags: Tensor,
        gt_instances: InstanceData,
        *args: Any,
        **options: Any,
    ) -> tuple[Any, ...]:
        """Targets of one image; the assigner takes the centroids of masks, if it sees masks."""
        seen = InstanceData(bboxes=gt_instances.bboxes, labels=gt_instances.labels)
        if self.sampling_center == "mask":
            seen.masks = gt_instances.masks.to_tensor(torch.bool, flat_anchors.device)
        return super()._get_targets_single(
            cls_scores, bbox_preds, flat_anchors, valid_flags, seen, *args, **options
        )
