"""Mask loss of many proposals in bounded memory (paper section 3.4)."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .coupling import Upsample, coupled_logits

MAX_LOSS_PIXELS = 2**22
"""Mask-stride pixels of which autograd keeps anything at once: 62 proposals at 800 x 1333. Coupling
and the Lovasz hinge keep about 80 bytes of each, 330 MB in all."""


def mask_losses(
    pixel_embedding: Tensor,
    proposal_embedding: Tensor,
    proposal_margin: Tensor,
    targets: Tensor,
    gt_inds: Tensor,
    upsample: Upsample,
    loss: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Loss of each proposal of one image, equal in value and gradient to computing all at once.

    More proposals than MAX_LOSS_PIXELS allows are computed in parts, of which autograd keeps
    nothing but their inputs: each is computed once more on the way back.

    Args:
        pixel_embedding: (D, h, w), positions added.
        proposal_embedding: (K, D), positions added.
        proposal_margin: (K, D).
        targets: (G, 2h, 2w) bool masks of the instances at the mask stride.
        gt_inds: (K,) instance of each proposal.
        upsample: how the mask stride is reached: see `coupling.coupled_logits`.
        loss: from logits and targets (k, 2h, 2w) to losses (k,).

    Returns:
        (K,).

    Example:
        >>> from mmdet_embedmask.functional.lovasz_hinge import lovasz_hinge
        >>> pixels, proposals, margins = torch.zeros(2, 4, 4), torch.zeros(3, 2), torch.ones(3, 2)
        >>> targets, gt_inds = torch.ones(1, 8, 8).bool(), torch.tensor([0, 0, 0])
        >>> mask_losses(pixels, proposals, margins, targets, gt_inds, "probability", lovasz_hinge)
        tensor([0., 0., 0.])
    """

    def losses_of(pixels: Tensor, embedding: Tensor, margin: Tensor, inds: Tensor) -> Tensor:
        return loss(coupled_logits(pixels, embedding, margin, upsample), targets[inds])

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
