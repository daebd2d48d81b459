"""Non-maximum suppression that torch runs by MMCV's operation and an ONNX file by its own.

Shapes used in this module:

    N: boxes, K: boxes that are kept
"""

from collections.abc import Callable
from typing import Any

import torch
from mmcv.ops import nms as mmcv_nms
from torch import Tensor


def class_aware_nms(
    boxes: Tensor, scores: Tensor, classes: Tensor, *, iou_threshold: float, max_boxes: int
) -> Tensor:
    """Keep the best of overlapping boxes of the same class.

    Args:
        boxes: (N, 4) as x1, y1, x2, y2.
        scores: (N,).
        classes: (N,).
        iou_threshold: boxes that overlap a better, kept one by more than this are dropped.
        max_boxes: keep no more than these, of all classes together.

    Returns:
        (K,) indices of the kept boxes, best first.
    """
    # Classes are moved apart exactly as MMCV's batched_nms does: moved boxes are rounded, which
    # decides overlaps at the threshold. The zero is for no boxes, which have no maximum.
    end = torch.cat([boxes.flatten(), boxes.new_zeros(1)]).max()
    offsets = classes.to(boxes) * (end + 1)
    kept: Tensor = one_class_nms(boxes + offsets[:, None], scores, iou_threshold, max_boxes)
    return kept


@torch.library.custom_op("mmdet_embedmask::nms", mutates_args=())
def one_class_nms(boxes: Tensor, scores: Tensor, iou_threshold: float, max_boxes: int) -> Tensor:
    """`class_aware_nms` without classes."""
    if len(boxes) == 0:
        return torch.empty(0, dtype=torch.long, device=boxes.device)
    kept: Tensor = mmcv_nms(boxes, scores, iou_threshold)[1]
    return kept[:max_boxes].clone()  # an operation must not return a view


@one_class_nms.register_fake
def _(boxes: Tensor, scores: Tensor, iou_threshold: float, max_boxes: int) -> Tensor:
    """How many are kept depends on the boxes."""
    kept = torch.library.get_ctx().new_dynamic_size(min=0)
    return torch.empty(kept, dtype=torch.long, device=boxes.device)


def onnx_translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """What `torch.onnx.export` puts in the place of the operation above."""
    from onnxscript import opset18

    # By its types a constant fits no operator: they do not know which kind it is.
    op: Any = opset18

    def onnx_nms(boxes: Any, scores: Any, iou_threshold: float, max_boxes: int) -> Any:
        # One image of one class. The operator takes diagonal corners, x and y in either order, and
        # gives rows of image, class and box, the best first.
        selected = op.NonMaxSuppression(
            op.Unsqueeze(boxes, op.Constant(value_ints=[0])),
            op.Unsqueeze(scores, op.Constant(value_ints=[0, 1])),
            op.Constant(value_ints=[max_boxes]),
            op.Constant(value_floats=[iou_threshold]),
        )
        return op.Gather(selected, op.Constant(value_int=2), axis=1)

    return {torch.ops.mmdet_embedmask.nms.default: onnx_nms}
