"""The focal loss and RoIAlign of ``mmcv._ext`` without compiled code.

Names, arguments and results are those of the compiled functions, which :mod:`mmcv.ops` calls: an
``output`` or ``grad_input`` is written in place, as there. N: boxes or images, K: regions, C:
classes or channels.
"""

import importlib
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

COMPILED_MMCV_CURE = (
    "For compiled MMCV, uninstall mmcv-lite (pip uninstall -y mmcv-lite), then either take a wheel "
    "built for your torch, where there is one (mim install mmcv==2.1.0), or build it: "
    'pip install "setuptools<82" ninja psutil && '
    "pip install --no-build-isolation --no-binary mmcv mmcv==2.1.0"
)


def sigmoid_focal_loss_forward(
    logits: Tensor,
    target: Tensor,
    weight: Tensor,
    output: Tensor,
    *,
    gamma: float,
    alpha: float,
) -> None:
    """Write the focal loss of each class into ``output``, (N, C).

    Args:
        logits: (N, C).
        target: (N,), each box's class; C is background.
        weight: Must be empty.
        output: (N, C), overwritten.
        gamma: The focusing exponent.
        alpha: The weight of the class itself against the others.
    """
    p, log_p, log_q, is_class = _focal_terms(logits, target, weight)
    of_class = -alpha * (1 - p) ** gamma * log_p
    of_others = -(1 - alpha) * p**gamma * log_q
    output.copy_(torch.where(is_class, of_class, of_others))


def sigmoid_focal_loss_backward(
    logits: Tensor,
    target: Tensor,
    weight: Tensor,
    grad_input: Tensor,
    *,
    gamma: float,
    alpha: float,
) -> None:
    """Write the focal loss's derivative by the logits into ``grad_input``; see the forward."""
    p, log_p, log_q, is_class = _focal_terms(logits, target, weight)
    of_class = -alpha * (1 - p) ** gamma * (1 - p - gamma * p * log_p)
    of_others = -(1 - alpha) * p**gamma * (gamma * (1 - p) * log_q - p)
    grad_input.copy_(torch.where(is_class, of_class, of_others))


def _focal_terms(
    logits: Tensor, target: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Probability, its logarithm, that of its complement, and which class is the target's."""
    if weight.numel():
        raise NotImplementedError(
            "The focal loss with class weights needs compiled MMCV; the stand-in of "
            f"mmdet_embedmask has it without weights only. {COMPILED_MMCV_CURE}"
        )
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    p = logits.sigmoid()
    smallest = torch.finfo(torch.float32).tiny  # the kernel's FLT_MIN keeps the logarithms finite
    is_class = target[:, None] == torch.arange(logits.size(1), device=logits.device)
    return p, p.clamp(min=smallest).log(), (1 - p).clamp(min=smallest).log(), is_class


def roi_align_forward(
    features: Tensor, rois: Tensor, output: Tensor, argmax_y: Tensor, argmax_x: Tensor, **how: Any
) -> None:
    """Write the pooled regions into ``output``, through torchvision.

    Args:
        features: (N, C, H, W).
        rois: (K, 5) as image index, x1, y1, x2, y2.
        output: (K, C, h, w), overwritten.
        argmax_y: Of no use here: only max pooling fills it.
        argmax_x: The same.
        **how: ``aligned_height``, ``aligned_width``, ``spatial_scale``, ``sampling_ratio``,
            ``pool_mode`` (1: average) and ``aligned``, as the compiled function takes them.
    """
    output.copy_(_roi_align(features, rois, **how))


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    **how: Any,
) -> None:
    """Add the derivative by the features to ``grad_input``; see the forward."""
    # The pooling is linear in the features: any features have the same derivative.
    features = torch.zeros_like(grad_input).requires_grad_()
    with torch.enable_grad():
        pooled = _roi_align(features, rois, **how)
    grad_input += torch.autograd.grad(pooled, features, grad_output)[0]


def _roi_align(
    features: Tensor,
    rois: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> Tensor:
    if pool_mode != 1:
        raise NotImplementedError(f"RoIAlign by maximum needs compiled MMCV. {COMPILED_MMCV_CURE}")
    ops = torchvision_ops()
    if ops is None:
        raise NotImplementedError(
            "RoIAlign needs torchvision or compiled MMCV. Install the torchvision made for your "
            f"torch (pip install torchvision). {COMPILED_MMCV_CURE}"
        )
    dtype = features.dtype
    if dtype == torch.bfloat16:  # torchvision has no kernel of it for a CPU
        features = features.float()
    size = (aligned_height, aligned_width)
    pooled: Tensor = ops.roi_align(
        features, rois.to(features.dtype), size, spatial_scale, sampling_ratio, aligned
    )
    return pooled.to(dtype)


def torchvision_ops() -> ModuleType | None:
    """Import ``torchvision.ops`` if it is there and fits the installed torch."""
    try:
        return importlib.import_module("torchvision.ops")
    except (ImportError, OSError, RuntimeError):
        # A torchvision built for another torch fails with any of these: as good as none.
        return None
