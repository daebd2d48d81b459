"""Positions as the spatial-aware part of embeddings (paper eq. 2)."""

import torch
from mmcv.cnn import Scale
from torch import Tensor, nn

from ..coupling import SPATIAL_AWARE_DIM
from .embedding_prediction import POSITIONED
from .positions import POSITION_UNIT


class SpatialEmbedding(nn.Module):
    """Adds a scaled position to the spatial-aware channels: ``p_a = p^_a + u`` (eq. 2).

    One object serves pixels and proposals, so that both read the same ``position_scale``.

    Args:
        embedding: one of EMBEDDINGS; those without an added position pass through.
        learnable_scale: False: u = (x, y) / 100, as the released Table 2 program has it.
    """

    def __init__(self, embedding: str = "both", learnable_scale: bool = True) -> None:
        super().__init__()
        self.adds_position = embedding in POSITIONED
        learned = self.adds_position and learnable_scale
        self.position_scale = Scale(1.0) if learned else nn.Identity()

    def forward(self, offsets: Tensor, positions: Tensor) -> Tensor:
        """Add ``u = position_scale * (x, y) / 100``, in float32 (half precision has 1 px steps).

        Args:
            offsets: (N, D, ...) predicted embedding without position.
            positions: (N or 1, 2, ...) as (x, y) in pixels of the network input.

        Returns:
            (N, D, ...) embedding, float32 (float64 for float64 offsets).
        """
        offsets = offsets.to(torch.promote_types(offsets.dtype, torch.float32))
        if not self.adds_position:
            return offsets
        position = self.position_scale(positions.to(offsets.dtype) / POSITION_UNIT)
        aware = offsets[:, :SPATIAL_AWARE_DIM] + position
        return torch.cat([aware, offsets[:, SPATIAL_AWARE_DIM:]], dim=1)
