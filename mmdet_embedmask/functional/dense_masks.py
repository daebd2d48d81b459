"""From embeddings to masks by their definition (paper section 3.5), `dense_masks`: read it first.

`mask_prediction.predict_masks` makes the same masks, up to rounding at the threshold, in a fraction
of the time and memory.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .coupling import Upsample, coupled_probabilities
from .geometry import MASK_STRIDE
from .resize import ResizeMode, maps_at_size

CROP_MARGIN_CELLS = 2
"""Mask-stride cells that ``crop_to_box`` leaves around the box (the released plain program)."""

MAX_CHUNK_PIXELS = 2**24
"""Full-size pixels that are resized at once: 64 MiB in float32 for each of two resizes."""


@dataclass(frozen=True)
class MaskRecipe:
    """How masks are made of embeddings.

    Args:
        mask_thr: a pixel belongs to the mask if its probability is greater.
        upsample: what is resized to the mask stride.
        upsample_mode: how.
        resize: how the network input is reached from there.
        crop_to_box: masks end two mask-stride cells outside their box.
        mask_stride: in pixels of the network input.

    Example:
        >>> MaskRecipe(mask_thr=0.52).resize
        'bilinear'
    """

    mask_thr: float
    upsample: Upsample = "probability"
    upsample_mode: ResizeMode = "bilinear"
    resize: ResizeMode = "bilinear"
    crop_to_box: bool = False
    mask_stride: int = MASK_STRIDE


def dense_masks(
    pixel_embedding: Tensor,
    proposal_embedding: Tensor,
    proposal_margin: Tensor,
    bboxes: Tensor,
    *,
    img_shape: tuple[int, int],
    size: tuple[int, int],
    recipe: MaskRecipe,
) -> Tensor:
    """Masks of one image: each proposal's probability, resized to every pixel and thresholded.

    Args:
        pixel_embedding: (D, h, w), positions added.
        proposal_embedding: (K, D), positions added.
        proposal_margin: (K, D).
        bboxes: (K, 4) in pixels of the network input.
        img_shape: (height, width) of the image inside the padding.
        size: (height, width) of the masks.
        recipe: how they are made.

    Returns:
        (K, *size) bool.

    Example:
        >>> pixels = torch.arange(8.0).expand(1, 8, 8)  # an embedding of one channel: the column
        >>> middle, margin, box = torch.tensor([[3.5]]), torch.tensor([[0.7]]), torch.zeros(1, 4)
        >>> how = dict(img_shape=(64, 64), size=(8, 8), recipe=MaskRecipe(mask_thr=0.5))
        >>> dense_masks(pixels, middle, margin, box, **how)[0, 0].int()
        tensor([0, 0, 0, 1, 1, 0, 0, 0], dtype=torch.int32)
    """
    maps = coupled_probabilities(
        pixel_embedding,
        proposal_embedding,
        proposal_margin,
        upsample=recipe.upsample,
        upsample_mode=recipe.upsample_mode,
    )
    if recipe.crop_to_box:
        maps = crop_to_boxes(maps, bboxes, recipe.mask_stride)
    masks = maps.new_zeros((len(maps), *size), dtype=torch.bool)
    padded = recipe.mask_stride**2 * maps.shape[1] * maps.shape[2]
    chunk = max(MAX_CHUNK_PIXELS // max(padded, size[0] * size[1]), 1)
    for start in range(0, len(maps), chunk):
        part = slice(start, start + chunk)
        resized = maps_at_size(
            maps[part], img_shape, size, recipe.resize, stride=recipe.mask_stride
        )
        torch.gt(resized, recipe.mask_thr, out=masks[part])
    return masks


def crop_to_boxes(probability: Tensor, bboxes: Tensor, mask_stride: int = MASK_STRIDE) -> Tensor:
    """Zero the probability outside each instance's box and two cells around it.

    At stride 4 the columns that are left are int(x1 / 4) - 2 up to, not including, int(x2 / 4) + 2,
    and rows likewise, as in the released plain program. That resizes log-probabilities, so that
    single border pixels differ.

    Args:
        probability: (K, h, w) at the mask stride.
        bboxes: (K, 4) in pixels of the network input, clipped to it.
        mask_stride: in pixels of the network input.

    Returns:
        (K, h, w).

    Example:
        >>> box = torch.tensor([[16.0, 0.0, 20.0, 4.0]])  # cell 4, with two more on either side
        >>> crop_to_boxes(torch.ones(1, 1, 9), box)[0, 0]
        tensor([0., 0., 1., 1., 1., 1., 1., 0., 0.])
    """
    height, width = probability.shape[1:]
    x1, y1, x2, y2 = (bboxes / mask_stride).trunc().unbind(dim=1)

    def kept(first: Tensor, last: Tensor, cells: int) -> Tensor:  # (K, cells)
        cell = torch.arange(cells, device=bboxes.device)
        margin = CROP_MARGIN_CELLS
        return (cell >= first[:, None] - margin) & (cell < last[:, None] + margin)

    rows, columns = kept(y1, y2, height), kept(x1, x2, width)
    return probability * (rows[:, :, None] & columns[:, None, :])
