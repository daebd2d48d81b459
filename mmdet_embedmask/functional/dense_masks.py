"""Masks by their plain definition: what the fast ones must equal, and are timed against."""

import torch
from torch import Tensor

from .coupling import coupled_probabilities
from .geometry import MASK_STRIDE
from .mask_prediction import MaskRecipe, crop_to_boxes
from .resize import probability_at_size

MAX_CHUNK_PIXELS = 2**24
"""Full-size pixels that are resized at once: 64 MiB in float32 for each of two resizes."""


def dense_masks(
    pixel_embedding: Tensor,
    proposal_embedding: Tensor,
    proposal_margin: Tensor,
    bboxes: Tensor,
    img_shape: tuple[int, int],
    size: tuple[int, int],
    recipe: MaskRecipe,
) -> Tensor:
    """Masks (K, *size) bool; arguments as `mask_prediction.predict_masks`.

    Example:
        >>> pixels = torch.arange(8.0).expand(1, 8, 8)  # an embedding of one channel: the column
        >>> recipe = MaskRecipe(mask_thr=0.5)
        >>> middle, margin = torch.tensor([[3.5]]), torch.tensor([[0.7]])
        >>> mask = dense_masks(pixels, middle, margin, torch.zeros(1, 4), (64, 64), (8, 8), recipe)
        >>> mask[0, 0].int()
        tensor([0, 0, 0, 1, 1, 0, 0, 0], dtype=torch.int32)
    """
    maps = coupled_probabilities(
        pixel_embedding, proposal_embedding, proposal_margin, recipe.upsample
    )
    if recipe.crop_to_box:
        maps = crop_to_boxes(maps, bboxes)
    masks = maps.new_zeros((len(maps), *size), dtype=torch.bool)
    padded = MASK_STRIDE * maps.shape[1], MASK_STRIDE * maps.shape[2]
    chunk = max(MAX_CHUNK_PIXELS // max(padded[0] * padded[1], size[0] * size[1]), 1)
    for start in range(0, len(maps), chunk):
        part = slice(start, start + chunk)
        resized = probability_at_size(maps[part], img_shape, size, recipe.resize)
        torch.gt(resized, recipe.mask_thr, out=masks[part])
    return masks
