"""Positions as the spatial-aware part of embeddings (paper eq. 2)."""

import torch
from mmcv.cnn import Scale
from torch import Tensor, nn

from ..coupling import SPATIAL_AWARE_DIM

POSITION_UNIT = 100.0
"""Pixels of the network input to one unit of the embedding (released)."""


class SpatialEmbedding(nn.Module):
    """Adds a scaled position to the spatial-aware channels: ``p_a = p^_a + u`` (eq. 2).

    One object serves pixels and proposals, so that both read the same ``position_scale``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.position_scale = Scale(1.0)

    def forward(self, offsets: Tensor, positions: Tensor) -> Tensor:
        """Add ``u = position_scale * (x, y) / 100``, in float32 (half precision has 1 px steps).

        Args:
            offsets: (N, D, ...) predicted embedding without position.
            positions: (N or 1, 2, ...) as (x, y) in pixels of the network input.

        Returns:
            (N, D, ...) embedding, float32 (float64 for float64 offsets).
        """
        offsets = offsets.to(torch.promote_types(offsets.dtype, torch.float32))
        position = self.position_scale(positions.to(offsets.dtype) / POSITION_UNIT)
        aware = offsets[:, :SPATIAL_AWARE_DIM] + position
        return torch.cat([aware, offsets[:, SPATIAL_AWARE_DIM:]], dim=1)
