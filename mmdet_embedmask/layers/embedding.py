"""Embeddings of pixels and proposals (paper eq. 2): predicted in two parts, the position added."""

import torch
from mmcv.cnn import Scale
from torch import Tensor, nn

from ..functional.geometry import POSITION_UNIT, SPATIAL_AWARE_DIM, cell_positions
from ..options import Embedding

POSITIONED = ("both", "spatial_aware")
"""The embeddings to whose spatial-aware part the position is added."""


def part_dims(embedding: Embedding, embed_dim: int) -> tuple[int, int]:
    """Channels of the spatial-aware and of the spatial-free part; a part left out has none.

    Args:
        embedding: what it is made of.
        embed_dim: D with both parts.
    """
    aware = 0 if embedding == "spatial_free" else SPATIAL_AWARE_DIM
    free = 0 if embedding == "spatial_aware" else embed_dim - SPATIAL_AWARE_DIM
    return aware, free


class EmbeddingPrediction(nn.Module):
    """Embedding without position, from a feature map; pixels and proposals own one each.

    Args:
        in_channels: channels of the feature map.
        embed_dim: D with both parts.
        embedding: what it is made of.
    """

    def __init__(self, in_channels: int, embed_dim: int, embedding: Embedding = "both") -> None:
        super().__init__()
        self.reads_coordinates = embedding == "coord_conv"
        channels = in_channels + 2 * self.reads_coordinates
        aware, free = part_dims(embedding, embed_dim)
        self.conv_spatial_aware = nn.Conv2d(channels, aware, 3, padding=1) if aware else None
        self.conv_spatial_free = nn.Conv2d(channels, free, 3, padding=1) if free else None

    def forward(self, feature: Tensor, stride: int) -> Tensor:
        """Predict the embedding.

        Args:
            feature: (N, C, h, w).
            stride: of the map in pixels.

        Returns:
            (N, D, h, w) without position; D counts the parts that there are.
        """
        if self.reads_coordinates:
            positions = cell_positions(feature, stride).to(feature.dtype) / POSITION_UNIT
            feature = torch.cat([feature, positions.expand(len(feature), -1, -1, -1)], dim=1)
        parts = (self.conv_spatial_aware, self.conv_spatial_free)
        return torch.cat([part(feature) for part in parts if part is not None], dim=1)


class SpatialEmbedding(nn.Module):
    """Adds a scaled position to the spatial-aware channels: ``p_a = p^_a + u`` (eq. 2).

    One object serves pixels and proposals, so that both read the same ``position_scale``.

    Args:
        embedding: what it is made of; without an added position it passes through.
        learnable_scale: False: u = (x, y) / 100, as the released fused program has it.
    """

    def __init__(self, embedding: Embedding = "both", learnable_scale: bool = True) -> None:
        super().__init__()
        self.adds_position = embedding in POSITIONED
        learned = self.adds_position and learnable_scale
        self.position_scale = Scale(1.0) if learned else nn.Identity()

    def forward(self, predicted: Tensor, positions: Tensor) -> Tensor:
        """Add ``u = position_scale * (x, y) / 100``.

        In float32: in half precision positions would step by about 1 px.

        Args:
            predicted: without position, of pixels (N, D, h, w), of proposals (K, D).
            positions: (x, y) in pixels of the network input, of pixels (1, 2, h, w), of proposals
                (K, 2).

        Returns:
            Embedding like ``predicted``, float32 (float64 for float64).
        """
        predicted = predicted.to(torch.promote_types(predicted.dtype, torch.float32))
        if not self.adds_position:
            return predicted
        position = self.position_scale(positions.to(predicted.dtype) / POSITION_UNIT)
        aware = predicted[:, :SPATIAL_AWARE_DIM] + position
        return torch.cat([aware, predicted[:, SPATIAL_AWARE_DIM:]], dim=1)
