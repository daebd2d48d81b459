"""Instance masks as training targets: at points, and at the mask stride.

Masks are (G, H, W), bool or uint8, of G instances, padded to the network input. They are read in
place: nothing here makes a full-size float copy.
"""

from torch import Tensor

MASK_STRIDE = 4
"""Stride in pixels at which masks are learned and predicted (paper section 3.5)."""


def masks_at_points(masks: Tensor, points: Tensor) -> Tensor:
    """Whether each mask covers each point.

    Args:
        masks: (G, H, W), bool or uint8.
        points: (P, 2) as (x, y) in pixels; the pixel that holds the point is read. Points outside
            the masks (P6 and P7 reach beyond the image) are not covered.

    Returns:
        (P, G) bool.
    """
    height, width = masks.shape[1:]
    x, y = points.long().unbind(dim=1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    covered = masks[:, y.clamp(0, height - 1), x.clamp(0, width - 1)].bool()
    return (covered & inside).T


def mask_stride_targets(masks: Tensor) -> Tensor:
    """Masks at the mask stride: bilinear resize (align_corners=False), then > 0 (Table 1).

    At stride 4 the bilinear sample of a cell is the mean of its four middle pixels, so the target
    is whether any of these is set.

    Args:
        masks: (G, H, W), bool or uint8.

    Returns:
        (G, H / 4, W / 4) bool.

    Raises:
        ValueError: if H or W is not a multiple of the mask stride.
    """
    height, width = masks.shape[1:]
    if height % MASK_STRIDE or width % MASK_STRIDE:
        raise ValueError(
            f"masks of {height} x {width} pixels cannot be sampled at stride {MASK_STRIDE}: pad "
            "images and masks to a multiple of 32, with data_preprocessor.pad_size_divisor=32 and "
            "data_preprocessor.pad_mask=True"
        )
    first, second = MASK_STRIDE // 2 - 1, MASK_STRIDE // 2
    rows = masks[:, first::MASK_STRIDE] | masks[:, second::MASK_STRIDE]
    return (rows[:, :, first::MASK_STRIDE] | rows[:, :, second::MASK_STRIDE]).bool()
