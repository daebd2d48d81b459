"""The branch that gives every proposal its embedding and its margin (paper section 3.2)."""

import math

import torch
from mmcv.cnn import Scale
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..coupling import SPATIAL_AWARE_DIM


def prior_precision(prior_margin: float) -> float:
    """Precision at which a distance of ``prior_margin`` in one channel gives P = 0.5."""
    return math.log(2) / prior_margin**2


class ProposalBranch(BaseModule):
    """Proposal embedding and proposal margin from the box tower, shared over levels.

    It knows nothing of FCOS: any dense head with a box tower can own one.

    Args:
        in_channels: channels of the box tower.
        embed_dim: D.
        num_levels: each level has its own scale of the spatial-aware margin.
        learnable_margin: False: the prior precision everywhere (paper Table 3, "fixed margin").
        prior_margin: distance in one channel at which P = 0.5 before training.
        margin_reduce_factor: the tower is divided by this before the margin's convolution, so
            that margins start at their prior (released).
    """

    def __init__(
        self,
        in_channels: int,
        embed_dim: int,
        num_levels: int,
        learnable_margin: bool = True,
        prior_margin: float = 2.0,
        margin_reduce_factor: float = 32.0,
    ) -> None:
        normal = dict(type="Normal", layer="Conv2d", std=0.01)
        if learnable_margin:
            bias = math.log(prior_precision(prior_margin))
            normal["override"] = dict(type="Normal", name="conv_margin", std=0.01, bias=bias)
        super().__init__(init_cfg=normal)
        self.embed_dim = embed_dim
        self.learnable_margin = learnable_margin
        self.prior_margin = prior_margin
        self.margin_reduce_factor = margin_reduce_factor
        self.conv_spatial_aware = nn.Conv2d(in_channels, SPATIAL_AWARE_DIM, 3, padding=1)
        self.conv_spatial_free = nn.Conv2d(in_channels, embed_dim - SPATIAL_AWARE_DIM, 3, padding=1)
        if learnable_margin:
            self.conv_margin = nn.Conv2d(in_channels, embed_dim, 3, padding=1)
            self.margin_scales = nn.ModuleList([Scale(1.0) for _ in range(num_levels)])

    def forward(self, feature: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """Predict embedding and margin of every point of one level.

        Args:
            feature: (N, C, h, w) box tower.
            level: index of the pyramid level.

        Returns:
            Embedding without position (N, D, h, w), and margin (N, D, h, w), > 0, float32.
        """
        aware, free = self.conv_spatial_aware(feature), self.conv_spatial_free(feature)
        embedding = torch.cat([aware, free], dim=1)
        if not self.learnable_margin:
            return embedding, torch.full_like(
                embedding,
                prior_precision(self.prior_margin),
                dtype=torch.promote_types(embedding.dtype, torch.float32),
            )
        log_margin = self.conv_margin(feature / self.margin_reduce_factor)
        # exp overflows in half precision.
        log_margin = log_margin.to(torch.promote_types(log_margin.dtype, torch.float32))
        aware = self.margin_scales[level](log_margin[:, :SPATIAL_AWARE_DIM])
        return embedding, torch.cat([aware, log_margin[:, SPATIAL_AWARE_DIM:]], dim=1).exp()
