"""From mask probabilities at the mask stride to masks at the original image size.

The dense definition (paper section 3.5): probability at stride 4, bilinear to the network input,
cropped to the image inside the padding, bilinear to the original size, threshold.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from .mask_targets import MASK_STRIDE

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
) -> Tensor:
    """Resize mask probabilities to the original image and threshold them.

    Args:
        probability: (K, h, w) at the mask stride of the padded network input.
        img_shape: (height, width) of the image inside the padding.
        ori_shape: (height, width) of the result.
        mask_thr: a pixel belongs to the mask if its probability is greater.

    Returns:
        (K, *ori_shape) bool.
    """
    masks = probability.new_zeros((len(probability), *ori_shape), dtype=torch.bool)
    for part, resized in resized_chunks(probability, img_shape, ori_shape):
        torch.gt(resized, mask_thr, out=masks[part])
    return masks


def resized_chunks(
    probability: Tensor, img_shape: tuple[int, int], ori_shape: tuple[int, int]
) -> Iterator[tuple[slice, Tensor]]:
    """Resize mask probabilities to the original image, some instances at a time.

    Chunks bound the memory, whatever the number of instances.

    Args:
        probability: (K, h, w) at the mask stride of the padded network input.
        img_shape: (height, width) of the image inside the padding.
        ori_shape: (height, width) of the result.

    Yields:
        Which of the K instances, and their probabilities (k, *ori_shape).
    """
    padded = probability.shape[1] * MASK_STRIDE, probability.shape[2] * MASK_STRIDE
    pixels = max(padded[0] * padded[1], ori_shape[0] * ori_shape[1])
    chunk = max(MAX_CHUNK_PIXELS // pixels, 1)
    for start in range(0, len(probability), chunk):
        part = slice(start, start + chunk)
        resized = _resize(probability[part], padded)[:, : img_shape[0], : img_shape[1]]
        yield part, _resize(resized, ori_shape)


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (K, h, w) bilinearly, with align_corners=False."""
    return F.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
