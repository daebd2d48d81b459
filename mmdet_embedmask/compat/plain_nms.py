"""Non-maximum suppression of ``mmcv._ext`` in plain torch.

The compiled function compares one box after the other with all others. Here a block of boxes is
compared with all others at once; only the decision within a block is sequential. What is kept,
and in which order, is the same. N: boxes.
"""

import torch
from torch import Tensor

from .plain_ops import torchvision_ops

# Boxes compared at a time: bounds the memory of their overlaps to NMS_BLOCK x N.
NMS_BLOCK = 128


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Keep the best of overlapping boxes.

    Args:
        boxes: (N, 4) as x1, y1, x2, y2.
        scores: (N,).
        iou_threshold: Boxes that overlap a better, kept one by more than this are dropped.
        offset: Added to a box's width and height: 0, or 1 for inclusive pixel coordinates.

    Returns:
        Indices of the kept boxes, best first.
    """
    if boxes.dtype in (torch.float16, torch.bfloat16):
        boxes = boxes.float()  # areas leave the range of float16 at 256 x 256 pixels
    if boxes.is_cuda and offset == 0 and (ops := torchvision_ops()) is not None:
        fast: Tensor = ops.nms(boxes, scores.to(boxes.dtype), iou_threshold)
        return fast
    # The same sort as the compiled function's, not a stable one: ties must fall the same way.
    order = scores.sort(0, descending=True)[1]
    kept = _greedy_keep(boxes.detach()[order].cpu(), iou_threshold, offset)
    return order[kept.to(order.device)]


def _greedy_keep(boxes: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Go through boxes, best first, and keep each that no kept one overlaps; return indices."""
    remaining = torch.arange(len(boxes))
    kept = [remaining[:0]]
    while len(remaining):
        block, remaining = remaining[:NMS_BLOCK], remaining[NMS_BLOCK:]
        within = _overlaps(boxes[block], boxes[block], iou_threshold, offset)
        block = block[_survivors(within)]
        kept.append(block)
        across = _overlaps(boxes[block], boxes[remaining], iou_threshold, offset)
        remaining = remaining[~across.any(0)]
    return torch.cat(kept)


def _survivors(overlaps: Tensor) -> Tensor:
    """The sequential part: (B, B) bool, rows best first -> (B,) bool."""
    rows = overlaps.numpy()
    alive = torch.ones(len(rows), dtype=torch.bool).numpy()
    for i, row in enumerate(rows):
        if alive[i]:
            alive[i + 1 :] &= ~row[i + 1 :]
    return torch.from_numpy(alive)


def _overlaps(boxes: Tensor, others: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Whether the IoU of each pair exceeds the threshold: (A, 4), (B, 4) -> (A, B) bool.

    The order of the operations and the threshold's rounding to the boxes' type are those of the
    compiled function, so that a tie at the threshold falls the same way.
    """
    areas = (boxes[:, 2] - boxes[:, 0] + offset) * (boxes[:, 3] - boxes[:, 1] + offset)
    other_areas = (others[:, 2] - others[:, 0] + offset) * (others[:, 3] - others[:, 1] + offset)
    x1, y1, x2, y2 = boxes[:, :, None].unbind(1)
    other_x1, other_y1, other_x2, other_y2 = others.unbind(1)
    # In place where possible: writing fresh memory is what takes the time here.
    inter = torch.minimum(x2, other_x2).sub_(torch.maximum(x1, other_x1)).add_(offset)
    height = torch.minimum(y2, other_y2).sub_(torch.maximum(y1, other_y1)).add_(offset)
    inter = inter.clamp_(min=0).mul_(height.clamp_(min=0))
    union = (areas[:, None] + other_areas).sub_(inter)
    return inter.div_(union) > boxes.new_tensor(iou_threshold)
