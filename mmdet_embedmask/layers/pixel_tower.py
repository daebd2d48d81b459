"""Towers that turn the neck's levels into the feature map of the pixel embedding.

Shapes used in this module:

    N: images, C: channels of the neck, F: channels of the tower, h, w: size of the finest level
"""

from typing import Any

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..functional.resize import aligned_bilinear
from ..options import Tower
from .initialization import KAIMING_UNIFORM

FUSED_LEVELS = 3
"""The fused tower reads P3 to P5."""


class PlainTower(BaseModule):
    """Convolutions on the finest level.

    Args:
        in_channels: C.
        feat_channels: F.
        stacked_convs: number of 3x3 convolutions with bias, norm and ReLU.
        norm_cfg: normalisation.
    """

    def __init__(
        self, in_channels: int, feat_channels: int, stacked_convs: int, norm_cfg: dict[str, Any]
    ) -> None:
        super().__init__(init_cfg=dict(type="Normal", layer="Conv2d", std=0.01))
        channels = [in_channels] + [feat_channels] * stacked_convs
        self.convs = nn.Sequential(
            *(
                ConvModule(c_in, c_out, 3, padding=1, bias=True, norm_cfg=norm_cfg)
                for c_in, c_out in zip(channels[:-1], channels[1:], strict=True)
            )
        )
        self.out_channels = channels[-1]

    def forward(self, x: tuple[Tensor, ...]) -> Tensor:
        """(N, C, h, w) of the finest level -> (N, F, h, w)."""
        feature: Tensor = self.convs(x[0])
        return feature


class FusedTower(BaseModule):
    """P3 to P5, each refined, brought to the size of P3 and summed; then a tower (paper Table 2).

    Args:
        in_channels: C.
        feat_channels: F.
        stacked_convs: number of 3x3 convolutions with norm and ReLU, before one without.
        norm_cfg: normalisation.
    """

    def __init__(
        self, in_channels: int, feat_channels: int, stacked_convs: int, norm_cfg: dict[str, Any]
    ) -> None:
        super().__init__(init_cfg=dict(KAIMING_UNIFORM))
        self.refine = nn.ModuleList(
            ConvModule(in_channels, feat_channels, 3, padding=1, norm_cfg=norm_cfg)
            for _ in range(FUSED_LEVELS)
        )
        self.convs = nn.Sequential(
            *(
                ConvModule(feat_channels, feat_channels, 3, padding=1, norm_cfg=norm_cfg)
                for _ in range(stacked_convs)
            ),
            nn.Conv2d(feat_channels, feat_channels, 3, padding=1),
        )
        self.out_channels = feat_channels

    def forward(self, x: tuple[Tensor, ...]) -> Tensor:
        """Levels of the neck, each half the size of the one before -> (N, F, h, w).

        Raises:
            ValueError: if a level is not half the size of the one before it, or is missing.
        """
        if len(x) < FUSED_LEVELS:
            raise ValueError(
                f"the neck has {len(x)} levels and the fused tower reads {FUSED_LEVELS}: set "
                f"neck.num_outs to {FUSED_LEVELS} or more, or mask_head.tower='plain'"
            )
        feature: Tensor = self.refine[0](x[0])
        for level in range(1, FUSED_LEVELS):
            refined = aligned_bilinear(self.refine[level](x[level]), 2**level)
            if refined.shape != feature.shape:
                raise ValueError(
                    f"level {level} of the neck is {tuple(x[level].shape[-2:])} and the finest "
                    f"{tuple(x[0].shape[-2:])}, not {2**level} times that: pad images to a "
                    "multiple of 32 with data_preprocessor.pad_size_divisor=32"
                )
            feature = feature + refined
        feature = self.convs(feature)
        return feature


PIXEL_TOWERS: dict[Tower, type[PlainTower | FusedTower]] = dict(plain=PlainTower, fused=FusedTower)
