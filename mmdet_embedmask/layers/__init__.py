"""Network parts that the heads compose."""

from .embedding import POSITIONED, EmbeddingPrediction, SpatialEmbedding, part_dims
from .pixel_tower import PIXEL_TOWERS, FusedTower, PlainTower
from .proposal_branch import ProposalBranch
from .renamed_weights import rename_older

__all__ = [
    "PIXEL_TOWERS",
    "POSITIONED",
    "EmbeddingPrediction",
    "FusedTower",
    "PlainTower",
    "ProposalBranch",
    "SpatialEmbedding",
    "part_dims",
    "rename_older",
]
