"""The mask loss (paper section 3.4): the Lovasz hinge, in bounded memory for many proposals.

The Lovasz hinge is that of binary masks (Berman et al., CVPR 2018), batched over instances.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .coupling import Upsample, coupled_logits
from .resize import ResizeMode

MAX_LOSS_PIXELS = 2**22
"""Most mask-stride pixels for which autograd keeps anything at once: 62 proposals at 800 x 1333.
Coupling and hinge keep about 80 bytes a pixel, 330 MB in all."""


def lovasz_hinge(logits: Tensor, targets: Tensor) -> Tensor:
    """Lovasz hinge of each instance: a convex surrogate of its Jaccard (IoU) loss.

    The hinge errors ``1 - logit * (2 target - 1)`` are sorted descending; each error above zero is
    weighted by how much the Jaccard loss grows when its pixel is counted as wrong. Errors of zero
    or less add nothing.

    Args:
        logits: (K, ...) mask logits.
        targets: (K, ...) bool.

    Returns:
        (K,) losses. An empty target's loss is its largest positive error.

    Example:
        >>> targets = torch.tensor([[True, True, False, False]])
        >>> lovasz_hinge(torch.tensor([[2.0, 2.0, -2.0, -2.0]]), targets)  # all right, by a margin
        tensor([0.])
        >>> one_wrong = torch.tensor([[2.0, -1.0, -2.0, -2.0]])  # by 2, which halves the IoU
        >>> lovasz_hinge(one_wrong, targets)
        tensor([1.])
    """
    logits, targets = logits.flatten(1), targets.flatten(1)
    errors = torch.where(targets, 1 - logits, 1 + logits)
    order, valid = positive_errors_first(errors.detach())
    growth = jaccard_growth(targets.gather(1, order), targets.sum(dim=1), errors.dtype)
    return (errors.gather(1, order) * growth.where(valid, 0)).sum(dim=1)


def positive_errors_first(errors: Tensor) -> tuple[Tensor, Tensor]:
    """Sort the positive errors of each instance; of learned masks they are few.

    Args:
        errors: (K, p).

    Returns:
        Indices (K, n) of the pixels by descending error, equal ones in the order of pixels, n being
        the largest count of any instance; and (K, n) bool, False where an instance has fewer.

    Example:
        >>> positive_errors_first(torch.tensor([[0.5, -1.0, 2.0], [-1.0, 3.0, -1.0]]))
        (tensor([[2, 0], [1, 0]]), tensor([[ True,  True], [ True, False]]))
    """
    # Not "> 0": a NaN must reach the loss, where it is seen.
    positive = ~(errors <= 0)
    counts = positive.sum(dim=1)
    most = int(counts.max()) if len(counts) else 0
    valid = torch.arange(most, device=errors.device) < counts[:, None]
    packed = errors.new_full(valid.shape, -torch.inf).masked_scatter(valid, errors[positive])
    pixels = torch.zeros_like(valid, dtype=torch.long)
    pixels = pixels.masked_scatter(valid, positive.nonzero()[:, 1])
    order = packed.argsort(dim=1, descending=True, stable=True)
    return pixels.gather(1, order), valid


def jaccard_growth(sorted_targets: Tensor, areas: Tensor, dtype: torch.dtype) -> Tensor:
    """Growth of the Jaccard loss as pixels, worst first, are counted wrong one by one.

    In closed form instead of as a difference of neighbours, which would lose most of its digits on
    large maps: with I target pixels left and a union of U, this pixel counted, a wrong target pixel
    adds 1 / U and a wrong background pixel adds I / (U (U - 1)).

    Args:
        sorted_targets: (K, n) bool, of the n worst pixels.
        areas: (K,) number of target pixels, also those that are not among the n worst.
        dtype: floating dtype of the result.

    Returns:
        (K, n), each row non-negative and, if n are all pixels, summing to 1.

    Example:
        >>> worst_first = torch.tensor([[True, False, True]])  # of a target of two pixels
        >>> jaccard_growth(worst_first, torch.tensor([2]), torch.float32)
        tensor([[0.5000, 0.1667, 0.3333]])
    """
    positives = areas[:, None]
    seen = sorted_targets.cumsum(dim=1)
    rank = torch.arange(1, sorted_targets.shape[1] + 1, device=sorted_targets.device)
    left = (positives - seen).to(dtype)
    union = (positives + rank - seen).to(dtype)
    background = left / (union * (union - 1).clamp(min=1))
    # Without any target pixel the first wrong pixel takes the Jaccard loss from 0 to 1 at once.
    background = torch.where((positives == 0) & (rank == 1), background.new_ones(()), background)
    return torch.where(sorted_targets, 1 / union, background)


def mask_losses(
    pixel_embedding: Tensor,
    proposal_embedding: Tensor,
    proposal_margin: Tensor,
    *,
    targets: Tensor,
    gt_inds: Tensor,
    upsample: Upsample = "probability",
    upsample_mode: ResizeMode = "bilinear",
    loss: Callable[[Tensor, Tensor], Tensor] = lovasz_hinge,
) -> Tensor:
    """Loss of each proposal of one image, equal in value and gradient to computing all at once.

    More proposals than MAX_LOSS_PIXELS allows are computed in parts. Of a part autograd keeps the
    inputs alone, and computes it once more in the backward pass.

    Args:
        pixel_embedding: (D, h, w), positions added.
        proposal_embedding: (K, D), positions added.
        proposal_margin: (K, D).
        targets: (G, 2h, 2w) bool masks of the instances at the mask stride.
        gt_inds: (K,) instance of each proposal.
        upsample: what is resized to the mask stride.
        upsample_mode: how.
        loss: from logits and targets (k, 2h, 2w) to losses (k,).

    Returns:
        (K,).

    Example:
        >>> pixels, proposals, margins = torch.zeros(2, 4, 4), torch.zeros(3, 2), torch.ones(3, 2)
        >>> targets, gt_inds = torch.ones(1, 8, 8).bool(), torch.tensor([0, 0, 0])
        >>> mask_losses(pixels, proposals, margins, targets=targets, gt_inds=gt_inds)
        tensor([0., 0., 0.])
    """

    def losses_of(pixels: Tensor, embedding: Tensor, margin: Tensor, inds: Tensor) -> Tensor:
        logits = coupled_logits(
            pixels, embedding, margin, upsample=upsample, upsample_mode=upsample_mode
        )
        return loss(logits, targets[inds])

    step = max(MAX_LOSS_PIXELS // max(targets.shape[1] * targets.shape[2], 1), 1)
    proposals = proposal_embedding, proposal_margin, gt_inds
    if len(gt_inds) <= step:
        return losses_of(pixel_embedding, *proposals)
    parts = zip(*(torch.split(each, step) for each in proposals), strict=True)
    losses: list[Tensor] = [
        checkpoint(losses_of, pixel_embedding, *part, use_reentrant=False, preserve_rng_state=False)
        for part in parts
    ]
    return torch.cat(losses)
