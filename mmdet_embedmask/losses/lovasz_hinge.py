"""The Lovasz hinge of binary masks (Berman et al., CVPR 2018), batched over instances."""

import torch
from torch import Tensor


def lovasz_hinge(logits: Tensor, targets: Tensor) -> Tensor:
    """Lovasz hinge of each instance: a convex surrogate of its Jaccard (IoU) loss.

    The hinge errors ``1 - logit * (2 target - 1)`` are sorted descending; each positive error is
    weighted by how much the Jaccard loss grows when its pixel joins the wrong ones.

    Args:
        logits: (K, ...) mask logits.
        targets: (K, ...) bool.

    Returns:
        (K,) losses. An empty target's loss is its largest positive error.
    """
    logits, targets = logits.flatten(1), targets.flatten(1)
    errors = torch.where(targets, 1 - logits, 1 + logits)
    errors, order = errors.sort(dim=1, descending=True)
    weights = jaccard_growth(targets.gather(1, order), errors.dtype)
    return (errors.relu() * weights).sum(dim=1)


def jaccard_growth(sorted_targets: Tensor, dtype: torch.dtype) -> Tensor:
    """Growth of the Jaccard loss as pixels, worst first, are counted wrong one by one.

    In closed form instead of as a difference of neighbours, which would lose most of its digits on
    large maps: with I target pixels left and a union of U, a wrong target pixel adds 1 / U and a
    wrong background pixel adds I / (U (U - 1)).

    Args:
        sorted_targets: (K, n) bool.
        dtype: floating dtype of the result.

    Returns:
        (K, n), each row non-negative and, if n > 0, summing to 1.
    """
    positives = sorted_targets.sum(dim=1, keepdim=True)
    seen = sorted_targets.cumsum(dim=1)
    rank = torch.arange(1, sorted_targets.shape[1] + 1, device=sorted_targets.device)
    left = (positives - seen).to(dtype)
    union = (positives + rank - seen).to(dtype)
    background = left / (union * (union - 1).clamp(min=1))
    # Without any target pixel the first wrong pixel takes the Jaccard loss from 0 to 1 at once.
    background = torch.where((positives == 0) & (rank == 1), background.new_ones(()), background)
    return torch.where(sorted_targets, 1 / union, background)
