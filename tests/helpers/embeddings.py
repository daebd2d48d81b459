"""Embeddings of drawn objects, and the ways to make masks of them."""

from typing import get_args

import torch
from torch import Tensor

from mmdet_embedmask.functional.coupling import Upsample
from mmdet_embedmask.functional.dense_masks import MaskRecipe
from mmdet_embedmask.functional.resize import ResizeMode

UPSAMPLINGS = [
    dict(upsample=what, upsample_mode=mode)
    for what in get_args(Upsample)
    for mode in get_args(ResizeMode)
]

RECIPES = [
    MaskRecipe(0.52),
    MaskRecipe(0.5, "probability", "aligned", "aligned"),
    MaskRecipe(0.53, "embedding"),
    MaskRecipe(0.52, crop_to_box=True),
    MaskRecipe(0.5, "embedding", crop_to_box=True),
    MaskRecipe(0.5, "embedding", "aligned", "aligned"),
    MaskRecipe(0.3, "probability", "aligned", crop_to_box=True),
    MaskRecipe(0.5, mask_stride=2),
    MaskRecipe(0.5, "probability", "aligned", "aligned", crop_to_box=True, mask_stride=2),
]


def scene(k: int, h: int, w: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Embeddings of objects of all sizes, and boxes that fit them only roughly."""
    y, x = torch.meshgrid(
        torch.arange(h) * 0.08 + 0.04, torch.arange(w) * 0.08 + 0.04, indexing="ij"
    )
    pixels = torch.cat([torch.stack([x, y]), torch.zeros(3, h, w)])
    pixels += 0.05 * torch.randn(5, h, w, generator=generator)
    centers = torch.rand(k, 2, generator=generator) * torch.tensor([w * 0.08, h * 0.08])
    proposals = torch.cat([centers, torch.zeros(k, 3)], 1)
    proposals += 0.05 * torch.randn(k, 5, generator=generator)
    radius = 0.05 * 40 ** torch.rand(k, 1, generator=generator)
    margins = (0.7 / radius**2) * (0.5 + torch.rand(k, 5, generator=generator))
    boxes = 100 * torch.cat([centers - radius, centers + radius], 1)
    return pixels, proposals, margins, boxes
