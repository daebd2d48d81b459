"""Scores of candidates: which pairs are some, what they are ranked by, and what detections get."""

from torch import Tensor

from .levels import flatten_points

NO_CANDIDATE = -1.0
"""Rank of a pair that is no candidate, below that of every pair that is one."""


def candidate_scores(
    cls_score: Tensor, centerness: Tensor, score: str, score_thr: float
) -> tuple[Tensor, Tensor]:
    """Ranks and scores of every (prior, class) pair of a level.

    Both released programs rank candidates by the product of class and center-ness probability, and
    differ in which pairs are candidates and in the score that a detection is given.

    Args:
        cls_score: (..., C, h, w) class logits.
        centerness: (..., 1, h, w) center-ness logits.
        score: 'product': pairs whose class probability is above the threshold, scored by the
            product (Table 1); or 'sqrt': pairs whose product is, scored by its root (Table 2).
        score_thr: the threshold.

    Returns:
        Ranks, NO_CANDIDATE for pairs that are none, and scores: (..., h * w, C) each.
    """
    probability = flatten_points(cls_score).sigmoid()
    product = probability * flatten_points(centerness).sigmoid()
    decisive, scores = (product, product.sqrt()) if score == "sqrt" else (probability, product)
    return product.where(decisive > score_thr, NO_CANDIDATE), scores
