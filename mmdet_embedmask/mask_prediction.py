"""From mask probabilities at the mask stride to masks at the original image size.

The dense definition (paper section 3.5): probability at stride 4, bilinear to the network input,
cropped to the image inside the padding, bilinear to the original size, threshold.
"""

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .aligned_bilinear import aligned_bilinear
from .mask_targets import MASK_STRIDE

MaskResize = Literal["bilinear", "aligned"]
"""How probabilities are brought to the network input: 'bilinear' puts a cell's value at its middle
(pixel 4i + 1.5), 'aligned' at pixel 4i + 2, where ``mask_target='point'`` has read its target."""

CROP_MARGIN_CELLS = 2
"""``crop_to_box`` grows the box by this many mask-stride cells (the released Table 1 program)."""

MAX_CHUNK_PIXELS = 2**24
"""Full-size pixels that are resized at once: 64 MiB in float32 for each of two resizes."""


def crop_to_boxes(probability: Tensor, bboxes: Tensor) -> Tensor:
    """Zero the probability outside each instance's box, grown by two cells.

    The released Table 1 program does the like, on log-probabilities; single border pixels differ.

    Args:
        probability: (K, h, w) at the mask stride.
        bboxes: (K, 4) in pixels of the network input.

    Returns:
        (K, h, w).
    """
    height, width = probability.shape[1:]
    grow = CROP_MARGIN_CELLS * MASK_STRIDE
    x1, y1, x2, y2 = (side[:, None] for side in bboxes.unbind(dim=1))
    xs = (torch.arange(width, device=bboxes.device) + 0.5) * MASK_STRIDE
    ys = (torch.arange(height, device=bboxes.device) + 0.5) * MASK_STRIDE
    columns = (xs >= x1 - grow) & (xs <= x2 + grow)  # (K, w)
    rows = (ys >= y1 - grow) & (ys <= y2 + grow)  # (K, h)
    return probability * (rows[:, :, None] & columns[:, None, :])


def predict_masks(
    probability: Tensor,
    img_shape: tuple[int, int],
    ori_shape: tuple[int, int],
    mask_thr: float,
    resize: MaskResize = "bilinear",
) -> Tensor:
    """Resize mask probabilities to the original image and threshold them.

    Args:
        probability: (K, h, w) at the mask stride of the padded network input.
        img_shape: (height, width) of the image inside the padding.
        ori_shape: (height, width) of the result.
        mask_thr: a pixel belongs to the mask if its probability is greater.
        resize: how the network input's size is reached.

    Returns:
        (K, *ori_shape) bool.
    """
    masks = probability.new_zeros((len(probability), *ori_shape), dtype=torch.bool)
    for part, resized in resized_chunks(probability, img_shape, ori_shape, resize):
        torch.gt(resized, mask_thr, out=masks[part])
    return masks


def resized_chunks(
    probability: Tensor,
    img_shape: tuple[int, int],
    ori_shape: tuple[int, int],
    resize: MaskResize = "bilinear",
) -> Iterator[tuple[slice, Tensor]]:
    """Resize mask probabilities to the original image, some instances at a time.

    Chunks bound the memory, whatever the number of instances.

    Args:
        probability: (K, h, w) at the mask stride of the padded network input.
        img_shape: (height, width) of the image inside the padding.
        ori_shape: (height, width) of the result.
        resize: how the network input's size is reached.

    Yields:
        Which of the K instances, and their probabilities (k, *ori_shape).
    """
    padded = probability.shape[1] * MASK_STRIDE, probability.shape[2] * MASK_STRIDE
    pixels = max(padded[0] * padded[1], ori_shape[0] * ori_shape[1])
    chunk = max(MAX_CHUNK_PIXELS // pixels, 1)
    for start in range(0, len(probability), chunk):
        part = slice(start, start + chunk)
        if resize == "aligned":
            resized = aligned_bilinear(probability[part], MASK_STRIDE)
        else:
            resized = _resize(probability[part], padded)
        yield part, _resize(resized[:, : img_shape[0], : img_shape[1]], ori_shape)


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (K, h, w) bilinearly, with align_corners=False."""
    return F.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
