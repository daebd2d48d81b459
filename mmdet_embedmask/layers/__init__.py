"""Network parts that the heads compose."""

from .embedding_prediction import EMBEDDINGS, EmbeddingPrediction, part_dims
from .pixel_tower import PIXEL_TOWERS, FusedTower, PlainTower
from .positions import cell_positions
from .proposal_branch import ProposalBranch
from .renamed_weights import rename_older
from .semantic_branch import SemanticBranch
from .spatial_embedding import SpatialEmbedding

__all__ = [
    "EMBEDDINGS",
    "PIXEL_TOWERS",
    "EmbeddingPrediction",
    "FusedTower",
    "PlainTower",
    "ProposalBranch",
    "SemanticBranch",
    "SpatialEmbedding",
    "cell_positions",
    "part_dims",
    "rename_older",
]
