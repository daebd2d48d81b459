"""Losses that MMDetection lacks."""

from .lovasz_hinge import lovasz_hinge
from .lovasz_hinge_loss import LovaszHingeLoss

__all__ = ["LovaszHingeLoss", "lovasz_hinge"]
