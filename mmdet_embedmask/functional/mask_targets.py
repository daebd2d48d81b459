"""Instance masks as training targets: at points, at the mask stride, as classes, as centroids.

Masks are (G, H, W), bool or uint8, of G instances, padded to the network input. They are read in
place: nothing here makes a full-size float copy.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .geometry import MASK_STRIDE, P3_STRIDE

MaskTarget = Literal["bilinear", "point"]
"""How a mask is brought to the mask stride: as the plain or as the fused program does."""


def masks_at_points(masks: Tensor, points: Tensor) -> Tensor:
    """Whether each mask covers each point.

    Args:
        masks: (G, H, W), bool or uint8.
        points: (P, 2) as (x, y) in pixels; the pixel that holds the point is read. Points outside
            the masks (P6 and P7 reach beyond the padded image) are not covered.

    Returns:
        (P, G) bool.

    Example:
        >>> mask = torch.tensor([[[1, 0], [0, 0]]], dtype=torch.uint8)
        >>> masks_at_points(mask, torch.tensor([[0.5, 0.5], [1.5, 0.5], [9.0, 0.0]]))[:, 0]
        tensor([ True, False, False])
    """
    height, width = masks.shape[1:]
    x, y = points.long().unbind(dim=1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    covered = masks[:, y.clamp(0, height - 1), x.clamp(0, width - 1)].bool()
    return (covered & inside).T


def mask_stride_targets(
    masks: Tensor, mask_target: MaskTarget = "bilinear", mask_stride: int = MASK_STRIDE
) -> Tensor:
    """Masks at the mask stride.

    'bilinear' (plain) resizes with align_corners=False and takes what is > 0: at stride 4 the
    sample of a cell is the mean of its four middle pixels, so the target is whether any of these is
    set. 'point' (fused) reads the one pixel at [2::4]. At stride 2 (ours) the four middle pixels
    are all of the cell's, and the one pixel is at [1::2].

    Args:
        masks: (G, H, W), bool or uint8.
        mask_target: 'bilinear' or 'point'.
        mask_stride: in pixels, even.

    Returns:
        (G, H / mask_stride, W / mask_stride) bool.

    Raises:
        ValueError: if H or W is not a multiple of the mask stride.

    Example:
        >>> mask = torch.zeros(1, 4, 8, dtype=torch.uint8)
        >>> mask[0, 1, 5] = 1  # a middle pixel of the second cell, and not the one at [2, 6]
        >>> mask_stride_targets(mask), mask_stride_targets(mask, "point")
        (tensor([[[False,  True]]]), tensor([[[False, False]]]))
    """
    height, width = masks.shape[1:]
    if height % mask_stride or width % mask_stride:
        raise ValueError(
            f"masks of {height} x {width} pixels cannot be sampled at stride {mask_stride}: pad "
            "images and masks to a multiple of 32, with data_preprocessor.pad_size_divisor=32 and "
            "data_preprocessor.pad_mask=True"
        )
    first, second = mask_stride // 2 - 1, mask_stride // 2
    if mask_target == "point":
        return masks[:, second::mask_stride, second::mask_stride].bool()
    rows = masks[:, first::mask_stride] | masks[:, second::mask_stride]
    return (rows[:, :, first::mask_stride] | rows[:, :, second::mask_stride]).bool()


def semantic_targets(masks: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Class of every cell of P3: of the smallest instance that covers its middle (fused).

    Args:
        masks: (G, H, W), bool or uint8.
        labels: (G,).
        num_classes: the value of cells that no instance covers, as MMDetection's losses want it.

    Returns:
        (H / 8, W / 8) long, sampled at [4::8].

    Example:
        >>> masks = torch.ones(2, 8, 16, dtype=torch.uint8)
        >>> masks[1, :, :8] = 0  # the smaller one
        >>> semantic_targets(masks, torch.tensor([2, 0]), num_classes=3)
        tensor([[2, 0]])
    """
    middle = P3_STRIDE // 2
    covered = masks[:, middle::P3_STRIDE, middle::P3_STRIDE].bool()
    target = labels.new_full(covered.shape[1:], num_classes)
    # Largest first: the smaller ones paint over it; of equal ones the first paints last.
    areas = _counts(masks, dim=2).sum(dim=1)
    for index in areas.argsort(stable=True).flip(0).tolist():
        target[covered[index]] = labels[index]
    return target


def mask_centroids(masks: Tensor) -> Tensor:
    """Mean column and row of each mask's pixels, around which the fused program samples.

    As there, the first column and row count as 0, not as 0.5.

    Args:
        masks: (G, H, W), bool or uint8.

    Returns:
        (G, 2) as (x, y), NaN for an empty mask.

    Example:
        >>> mask = torch.zeros(1, 4, 4, dtype=torch.uint8)
        >>> mask[0, 1, 1:4] = 1
        >>> mask_centroids(mask)
        tensor([[2., 1.]])
    """
    centroids = []
    for counts in (_counts(masks, dim=1), _counts(masks, dim=2)):  # of each column, of each row
        indices = torch.arange(counts.shape[1], device=masks.device)
        centroids.append((counts * indices).sum(dim=1) / counts.sum(dim=1))
    return torch.stack(centroids, dim=1)


def _counts(masks: Tensor, dim: int) -> Tensor:
    """Pixels along an axis of masks (G, H, W): long.

    By NumPy, which sums bytes tens of times faster on a CPU, where masks are. In signed numbers:
    torch.compile runs NumPy as torch, which cannot sum unsigned ones.
    """
    counts = masks.cpu().numpy().sum(axis=dim, dtype=np.int32)
    return torch.from_numpy(counts.astype(np.int64)).to(masks.device)
