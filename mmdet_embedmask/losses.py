"""The Lovasz hinge as a loss module of MMDetection, which has none."""

from typing import Literal, get_args

from mmdet.models.losses.utils import weight_reduce_loss
from mmdet.registry import MODELS
from torch import Tensor, nn

from .functional.mask_loss import lovasz_hinge
from .options import check_option

Reduction = Literal["none", "mean", "sum"]


@MODELS.register_module()
class LovaszHingeLoss(nn.Module):
    """Lovasz hinge per instance (paper section 3.4).

    Args:
        reduction: 'none' keeps one value an instance; 'mean' or 'sum' over the instances.
        loss_weight: lambda of the paper's total loss.

    Example:
        >>> import torch
        >>> loss = LovaszHingeLoss(loss_weight=0.5)
        >>> loss(torch.tensor([[2.0, -1.0]]), torch.tensor([[True, True]]))
        tensor(0.5000)
    """

    def __init__(self, reduction: Reduction = "mean", loss_weight: float = 1.0) -> None:
        super().__init__()
        self.reduction = check_option("LovaszHingeLoss.reduction", reduction, get_args(Reduction))
        self.loss_weight = loss_weight

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: Reduction | None = None,
    ) -> Tensor:
        """Compute the loss; the arguments are those of every loss in MMDetection.

        Args:
            pred: (K, ...) mask logits.
            target: (K, ...), non-zero on the mask.
            weight: (K,) weight of each instance.
            avg_factor: divisor that replaces the mean's own.
            reduction_override: replaces ``reduction`` for this call.

        Returns:
            (K,) for reduction 'none', else a scalar.

        Raises:
            ValueError: for an unknown ``reduction_override``.
        """
        reduction = self.reduction
        if reduction_override is not None:
            reduction = check_option("reduction_override", reduction_override, get_args(Reduction))
        loss = lovasz_hinge(pred, target.bool())
        reduced: Tensor = weight_reduce_loss(loss, weight, reduction, avg_factor)
        return self.loss_weight * reduced
