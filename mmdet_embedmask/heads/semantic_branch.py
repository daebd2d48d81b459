"""The auxiliary semantic loss of the released fused program."""

from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmdet.registry import MODELS
from mmengine.model import BaseModule, bias_init_with_prob, normal_init
from torch import Tensor, nn

from ..functional.mask_targets import semantic_targets
from ..layers.initialization import KAIMING_UNIFORM


@MODELS.register_module()
class SemanticBranch(BaseModule):
    """Class of every cell of P3, learned beside the masks so that P3 tells objects from background.

    It takes part in training only.

    Args:
        num_classes: the same as the box head's.
        in_channels: channels of P3.
        feat_channels: channels of the two convolutions.
        norm_cfg: normalisation.
        loss_semantic: a classification loss with sigmoid, whose ``avg_factor`` is the number of
            cells that belong to an object.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: int = 256,
        feat_channels: int = 128,
        norm_cfg: dict[str, Any] = dict(type="BN"),  # noqa: B006
        loss_semantic: dict[str, Any] = dict(  # noqa: B006
            type="FocalLoss", use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0
        ),
    ) -> None:
        super().__init__(init_cfg=dict(KAIMING_UNIFORM))
        self.num_classes = num_classes
        self.convs = nn.Sequential(
            ConvModule(in_channels, feat_channels, 3, padding=1, norm_cfg=norm_cfg),
            ConvModule(feat_channels, feat_channels, 3, padding=1, norm_cfg=norm_cfg),
        )
        self.conv_semantic = nn.Conv2d(feat_channels, num_classes, 1)
        self.loss_semantic = MODELS.build(loss_semantic)

    def init_weights(self) -> None:
        """Kaiming, and a prior probability of 0.01 for every class."""
        super().init_weights()
        normal_init(self.conv_semantic, std=0.01, bias=bias_init_with_prob(0.01))

    def forward(self, feature: Tensor) -> Tensor:
        """P3 (N, C, h, w) -> class logits (N, num_classes, h, w)."""
        logits: Tensor = self.conv_semantic(self.convs(feature))
        return logits

    def loss(
        self, feature: Tensor, batch_masks: list[Tensor], batch_labels: list[Tensor]
    ) -> Tensor:
        """Focal loss of all cells over the number of those that belong to an object (at least 1).

        Args:
            feature: (N, C, h, w) P3.
            batch_masks: (G, H, W) of each image, padded to the network input.
            batch_labels: (G,) of each image.

        Returns:
            Scalar loss.
        """
        logits = self(feature).permute(0, 2, 3, 1).reshape(-1, self.num_classes)
        targets = torch.cat(
            [
                semantic_targets(masks, labels.to(masks.device), self.num_classes).flatten()
                for masks, labels in zip(batch_masks, batch_labels, strict=True)
            ]
        ).to(logits.device)
        positives = (targets < self.num_classes).sum().clamp(min=1)
        loss: Tensor = self.loss_semantic(logits, targets, avg_factor=positives)
        return loss
