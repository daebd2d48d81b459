"""Embedding coupling: from embeddings to mask probabilities (paper eq. 1 and 3).

Shapes used in this module:

    K: proposals, D: embedding channels, h, w: height and width of the pixel embedding

    pixel_embedding     (D, h, w)   p
    proposal_embedding  (K, D)      q
    proposal_margin     (K, D)      precision 1 / (2 sigma^2) of each channel, > 0
    distance            (K, h, w)   d = sum_i margin_i * (p_i - q_i)^2, >= 0
    probability         (K, h, w)   P = exp(-d)

Everything works on the squared distance ``d`` as long as possible: ``P > t`` is ``d < -ln t``, and
the logit that the loss wants is lost in float32 once ``P`` has been rounded to 1.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from .geometry import MASK_UPSAMPLE
from .resize import ResizeMode, enlarge

Upsample = Literal["probability", "embedding"]
"""What is resized from the pixel embedding's stride to the mask stride: the probability (paper
section 3.5, and the released fused program) or the pixel embedding (the released plain program)."""

MIN_DISTANCE = 1e-6
"""Lower clamp of the distance, whose logit is about -ln d near zero: infinite at zero."""


def squared_distance(
    pixel_embedding: Tensor, proposal_embedding: Tensor, proposal_margin: Tensor
) -> Tensor:
    """Weighted squared distance of every pixel to every proposal (the exponent of eq. 1).

    Expanded to ``w p^2 - 2 w q p + w q^2`` it is one matrix product, with no (K, D, h, w) tensor.
    The product runs in float64: in float32 the expanded square loses digits for positions far from
    the origin. Neither autocast nor TF32, which flip mask pixels, touches float64.

    Args:
        pixel_embedding: (D, h, w).
        proposal_embedding: (K, D).
        proposal_margin: (K, D), > 0.

    Returns:
        (K, h, w) distance, >= 0, float32 (float64 for float64 inputs).

    Example:
        >>> pixels = torch.tensor([[[0.0, 1.0]], [[0.0, 2.0]]])  # two channels, two pixels
        >>> squared_distance(pixels, torch.zeros(1, 2), torch.tensor([[1.0, 0.5]]))
        tensor([[[0., 3.]]])
    """
    dtype = torch.promote_types(pixel_embedding.dtype, torch.float32)
    p, q, margin = (
        x.double() for x in (pixel_embedding.flatten(1), proposal_embedding, proposal_margin)
    )
    coefficients = torch.cat([margin, -2 * margin * q], dim=1)
    offset = (margin * q**2).sum(dim=1)
    distance = torch.addmm(offset[:, None], coefficients, torch.cat([p**2, p])).to(dtype)
    # The expanded form can round to just below zero.
    return torch.unflatten(distance.clamp(min=0), 1, pixel_embedding.shape[1:])


def mask_probability(distance: Tensor) -> Tensor:
    """Probability that a pixel belongs to the proposal's mask: ``exp(-d)`` (eq. 1).

    Args:
        distance: (K, h, w).

    Returns:
        (K, h, w) in [0, 1].

    Example:
        >>> mask_probability(torch.tensor([0.0, 1.0, 1000.0]))
        tensor([1.0000, 0.3679, 0.0000])
    """
    return torch.exp(-distance)


def mask_logit(distance: Tensor) -> Tensor:
    """Logit of the mask probability, exact from distance 1e-6 to the largest float.

    ``logit(exp(-d)) = -d - log(1 - exp(-d))``. Near pixels are clamped: their hinge error is zero,
    or as large as it gets in practice. Far pixels are not, so that they keep their gradient.

    Args:
        distance: (K, h, w).

    Returns:
        (K, h, w) logits, finite for finite distances.

    Example:
        >>> mask_logit(torch.tensor([math.log(2), 100.0]))  # a probability of 1/2, and a tiny one
        tensor([   0., -100.])
    """
    distance = distance.clamp(min=MIN_DISTANCE)
    return -distance - torch.log(-torch.expm1(-distance))


def upsampled_mask_logit(distance: Tensor, mode: ResizeMode = "bilinear") -> Tensor:
    """Logit of the up-sampled probability, without ever rounding that to 0 or 1.

    With P and 1 - P resized separately, ``logit = log P - log(1 - P)`` keeps full precision where
    P is near 1; log P is resized in the log domain, because exp(-d) underflows for far pixels.

    Args:
        distance: (K, h, w) at the pixel embedding's stride.
        mode: how the probability is up-sampled.

    Returns:
        (K, 2h, 2w) logits, equal to the logit of the resized ``exp(-d)`` in exact arithmetic.

    Example:
        >>> near = torch.full((1, 2, 2), 1e-5)  # torch.logit(exp(-d)) would be 11.5116, by rounding
        >>> upsampled_mask_logit(near)[0, 0, 0]
        tensor(11.5129)
    """
    distance = distance.clamp(min=MIN_DISTANCE)
    log_complement = torch.log(enlarge(-torch.expm1(-distance), MASK_UPSAMPLE, mode))
    log_rows = _upsample_log(-distance, mode, dim=1)
    return _upsample_log(log_rows, mode, dim=2) - log_complement


def _upsample_log(log_values: Tensor, mode: ResizeMode, dim: int) -> Tensor:
    """Up-sample ``exp(log_values)`` twofold along one axis, in the log domain.

    With align_corners=False an output is 3/4 of its own cell and 1/4 of the neighbour on its side.
    Aligned, output 2i + 1 is cell i, and output 2i the mean of cells i - 1 and i. The border is
    replicated.
    """
    aligned = mode == "aligned"
    own_share = 0.5 if aligned else 0.75
    near, far = log_values + math.log(own_share), log_values + math.log(1 - own_share)
    size = log_values.shape[dim]
    before = torch.cat([far.narrow(dim, 0, 1), far.narrow(dim, 0, size - 1)], dim)
    first, second = torch.logaddexp(near, before), log_values
    if not aligned:
        after = torch.cat([far.narrow(dim, 1, size - 1), far.narrow(dim, size - 1, 1)], dim)
        second = torch.logaddexp(near, after)
    return torch.stack([first, second], dim + 1).flatten(dim, dim + 1)


def coupled_logits(
    pixel_embedding: Tensor,
    proposal_embedding: Tensor,
    proposal_margin: Tensor,
    *,
    upsample: Upsample = "probability",
    upsample_mode: ResizeMode = "bilinear",
) -> Tensor:
    """Mask logits at the mask stride, for the loss.

    Args:
        pixel_embedding: (D, h, w), positions added.
        proposal_embedding: (K, D), positions added.
        proposal_margin: (K, D).
        upsample: what is resized to the mask stride.
        upsample_mode: how; the released fused program takes 'aligned'.

    Returns:
        (K, 2h, 2w) logits.

    Example:
        >>> pixels, proposal = torch.ones(1, 4, 4), torch.zeros(1, 1)
        >>> logits = coupled_logits(pixels, proposal, torch.tensor([[math.log(2)]]))
        >>> logits.shape, logits[0, 0, 0].round()  # a probability of 1/2 everywhere
        (torch.Size([1, 8, 8]), tensor(0.))
    """
    if upsample == "embedding":
        pixel_embedding = enlarge(pixel_embedding, MASK_UPSAMPLE, upsample_mode)
        return mask_logit(squared_distance(pixel_embedding, proposal_embedding, proposal_margin))
    distance = squared_distance(pixel_embedding, proposal_embedding, proposal_margin)
    return upsampled_mask_logit(distance, upsample_mode)


def coupled_probabilities(
    pixel_embedding: Tensor,
    proposal_embedding: Tensor,
    proposal_margin: Tensor,
    *,
    upsample: Upsample = "probability",
    upsample_mode: ResizeMode = "bilinear",
) -> Tensor:
    """Mask probabilities at the mask stride, for inference. Arguments as `coupled_logits`.

    Returns:
        (K, 2h, 2w) probabilities.

    Example:
        >>> pixels, proposal = torch.zeros(2, 4, 4), torch.zeros(1, 2)
        >>> coupled_probabilities(pixels, proposal, torch.ones(1, 2)).unique()
        tensor([1.])
    """
    if upsample == "embedding":
        pixel_embedding = enlarge(pixel_embedding, MASK_UPSAMPLE, upsample_mode)
        return mask_probability(
            squared_distance(pixel_embedding, proposal_embedding, proposal_margin)
        )
    distance = squared_distance(pixel_embedding, proposal_embedding, proposal_margin)
    return enlarge(mask_probability(distance), MASK_UPSAMPLE, upsample_mode)
