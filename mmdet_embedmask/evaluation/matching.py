"""Predictions matched to ground truth by mask IoU.

Shapes used in this module:

    G: true instances, K: predictions, H, W: size of the image
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from ..functional.run_lengths import RunLengths, encode_mask

FOUND_IOU = 0.5
"""From this mask IoU on a prediction finds a true instance."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Objects:
    """The objects of one image.

    Args:
        masks: (K, H, W) bool.
        labels: (K,) indices of their classes.
        scores: (K,) between 0 and 1; None: ground truth, which has none.
    """

    masks: NDArray[np.bool_]
    labels: Sequence[int]
    scores: Sequence[float] | None = None

    def run_lengths(self) -> list[RunLengths]:
        """The masks in COCO's code."""
        return [encode_mask(mask) for mask in self.masks]


@dataclass(frozen=True)
class Overlap:
    """How masks of the same class overlap; zero where the classes differ.

    Args:
        iou: (G, K).
        of_truth: (G, K) share of the true mask that the prediction covers.
        of_prediction: (G, K) share of the prediction that lies in the true mask.
    """

    iou: Matrix
    of_truth: Matrix
    of_prediction: Matrix


def overlap(truth: Objects, prediction: Objects) -> Overlap:
    """Overlap of every true instance with every prediction.

    Args:
        truth: G objects.
        prediction: K objects, masks of the same size.
    """
    true_masks, masks = truth.run_lengths(), prediction.run_lengths()
    same_class = np.array(truth.labels)[:, None] == np.array(prediction.labels)[None]
    return Overlap(
        mask_ious(true_masks, masks) * same_class,
        mask_ious(true_masks, masks, over_first=True) * same_class,
        mask_ious(masks, true_masks, over_first=True).T * same_class,
    )


def mask_ious(
    first: list[RunLengths], second: list[RunLengths], *, over_first: bool = False
) -> Matrix:
    """Mask IoU of every pair; zero for two empty masks.

    Args:
        first: N masks.
        second: M masks of the same size.
        over_first: give the intersection over the first one's area, COCO's measure for crowds.

    Returns:
        (N, M).
    """
    if not first or not second:
        return np.zeros((len(first), len(second)))
    return np.asarray(coco_mask.iou(first, second, [int(over_first)] * len(second)))


def match(iou: Matrix) -> NDArray[np.int64]:
    """Give every true instance at most one prediction, the best pairs first.

    Args:
        iou: (G, K).

    Returns:
        (G,) index of the prediction; -1 where none is left that overlaps.
    """
    matched = np.full(len(iou), -1)
    left = iou.copy()
    while left.size and left.max() > 0:
        truth, prediction = np.unravel_index(int(left.argmax()), left.shape)
        matched[truth] = prediction
        left[truth, :] = 0
        left[:, prediction] = 0
    return matched


def matched_ious(iou: Matrix, matched: NDArray[np.int64]) -> Matrix:
    """Mask IoU (G,) of every true instance with its prediction; zero without one."""
    if not iou.size:
        return np.zeros(len(iou))
    return np.where(matched >= 0, iou[np.arange(len(iou)), matched], 0.0)


def mean_iou(ious: Matrix) -> float | None:
    """Mean of (G,) values; None where there is no true instance."""
    return float(ious.mean()) if len(ious) else None


def iou_text(value: float | None) -> str:
    """A mean IoU for people."""
    return "no instances" if value is None else f"mean IoU {value:.3f}"
