"""The branch that gives every proposal its embedding and its margin (paper section 3.2)."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import Scale
from mmengine.model import BaseModule, initialize, normal_init
from torch import Tensor, nn

from ..options import Embedding
from .embedding import EmbeddingPrediction, part_dims
from .initialization import KAIMING_UNIFORM
from .renamed_weights import rename_older


def prior_precision(prior_margin: float) -> float:
    """Precision at which a distance of ``prior_margin`` in one channel gives P = 0.5."""
    return math.log(2) / prior_margin**2


class ProposalBranch(BaseModule):
    """Proposal embedding and proposal margin from the box tower, shared over levels.

    It knows nothing of FCOS: any dense head with a box tower can own one.

    Args:
        in_channels: channels of the box tower.
        embed_dim: D with both parts of the embedding.
        strides: of the levels; each level has its own scale of the spatial-aware margin.
        embedding: what it is made of (paper Table 3).
        learnable_margin: False: the prior precision everywhere (paper Table 3, "fixed margin").
        prior_margin: distance in one channel at which P = 0.5 before training.
        aware_prior_margin: the same of the spatial-aware channels; None: ``prior_margin``.
        margin_reduce_factor: the tower is divided by this before the margin's convolutions, so that
            margins start near their prior (the released plain program).
        reduce_channels: channels of a 1x1 convolution before the 3x3 ones of the embedding, and of
            another before the margin's (released fused program); None: no 1x1 convolutions.
    """

    _version = 2

    def __init__(
        self,
        in_channels: int,
        embed_dim: int,
        strides: Sequence[int],
        *,
        embedding: Embedding = "both",
        learnable_margin: bool = True,
        prior_margin: float = 2.0,
        aware_prior_margin: float | None = None,
        margin_reduce_factor: float = 32.0,
        reduce_channels: int | None = None,
    ) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.learnable_margin = learnable_margin
        self.margin_reduce_factor = margin_reduce_factor
        self.spatial_aware_dim, spatial_free_dim = part_dims(embedding, embed_dim)
        self.dims = [self.spatial_aware_dim, spatial_free_dim]
        self.priors = (
            prior_precision(aware_prior_margin or prior_margin),
            prior_precision(prior_margin),
        )
        channels = reduce_channels or in_channels
        self.reduce_embedding = _reduction(in_channels, reduce_channels)
        self.embedding = EmbeddingPrediction(channels, embed_dim, embedding)
        if learnable_margin:
            self.reduce_margin = _reduction(in_channels, reduce_channels)
            self.conv_margin = nn.Conv2d(channels, sum(self.dims), 3, padding=1)
            scaled = self.strides if self.spatial_aware_dim else ()
            self.margin_scales = nn.ModuleList([Scale(1.0) for _ in scaled])

    def init_weights(self) -> None:
        """3x3 convolutions: N(0, 0.01), the margin's bias at its prior; 1x1: Kaiming."""
        super().init_weights()
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1):
                initialize(module, KAIMING_UNIFORM)
            elif isinstance(module, nn.Conv2d):
                normal_init(module, std=0.01)
        if self.learnable_margin:
            bias = self.conv_margin.get_parameter("bias")
            for part, prior in zip(torch.split(bias, self.dims), self.priors, strict=True):
                nn.init.constant_(part, math.log(prior))

    def forward(self, feature: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """Predict embedding and margin of every point of one level.

        Args:
            feature: (N, C, h, w) box tower.
            level: index of the pyramid level.

        Returns:
            Embedding without position (N, D, h, w), and margin (N, D, h, w), > 0, float32.
        """
        embedding = self.embedding(self.reduce_embedding(feature), self.strides[level])
        if not self.learnable_margin:
            dtype = torch.promote_types(embedding.dtype, torch.float32)
            parts = zip(torch.split(embedding, self.dims, dim=1), self.priors, strict=True)
            return embedding, torch.cat(
                [torch.full_like(part, prior, dtype=dtype) for part, prior in parts], dim=1
            )
        log_margin = self.conv_margin(self.reduce_margin(feature / self.margin_reduce_factor))
        # exp overflows in half precision.
        log_margin = log_margin.to(torch.promote_types(log_margin.dtype, torch.float32))
        if self.spatial_aware_dim:
            aware = self.margin_scales[level](log_margin[:, : self.spatial_aware_dim])
            log_margin = torch.cat([aware, log_margin[:, self.spatial_aware_dim :]], dim=1)
        return embedding, log_margin.exp()

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        """Also load what version 1 saved."""
        renamed = {"conv_spatial_": "embedding.conv_spatial_"}
        rename_older(state_dict, prefix, local_metadata, version=self._version, renamed=renamed)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


def _reduction(in_channels: int, channels: int | None) -> nn.Module:
    return nn.Conv2d(in_channels, channels, 1) if channels else nn.Identity()
