"""Network parts that the heads compose."""

from .proposal_branch import ProposalBranch
from .spatial_embedding import SpatialEmbedding

__all__ = ["ProposalBranch", "SpatialEmbedding"]
