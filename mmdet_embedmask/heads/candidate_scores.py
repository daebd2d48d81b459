"""Scores of candidates: what they are ranked by, and what detections are given."""

from torch import Tensor

from .levels import flatten_points


def candidate_scores(cls_score: Tensor, centerness: Tensor, score: str) -> tuple[Tensor, Tensor]:
    """Scores of every (prior, class) pair of a level.

    Args:
        cls_score: (..., C, h, w) class logits.
        centerness: (..., 1, h, w) center-ness logits.
        score: 'product' of class and center-ness probability (Table 1), candidates being ranked by
            the class alone; or 'sqrt', its root, candidates being ranked by the product (Table 2).

    Returns:
        What candidates are dropped and ranked by, and the score of a detection: (..., h * w, C)
        each.
    """
    ranks = flatten_points(cls_score).sigmoid()
    scores = ranks * flatten_points(centerness).sigmoid()
    return (scores, scores.sqrt()) if score == "sqrt" else (ranks, scores)
