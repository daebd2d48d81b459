"""Mask AP at many mask thresholds from one pass over the data (paper figure 5)."""

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any, cast

import numpy as np
import torch
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric

from ..checks.metric import check_metric_labels
from ..data.coco_dataset import CocoMetricByName
from ..embed_mask import EmbedMask
from ..functional.mask_prediction import masks_of_probabilities
from ..functional.run_lengths import RunLengths
from ..inspection import InspectedImage, inspect_batch

FIGURES = ("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l")
"""CocoMetric's figures of masks, without their prefix 'coco/segm_'."""

METRIC_TYPES = ("CocoMetricByName", "CocoMetric")


def check_thresholds(thresholds: Sequence[float]) -> list[float]:
    """Return the thresholds ascending, each once.

    Raises:
        ValueError: if there is none, or one is not between 0 and 1.
    """
    if not thresholds:
        raise ValueError("there is no threshold to evaluate: give at least one")
    for threshold in thresholds:
        if not 0 < threshold < 1:
            raise ValueError(f"threshold {threshold} must be a probability between 0 and 1")
    return sorted(set(thresholds))


def build_metrics(
    evaluator: dict[str, Any], dataset_meta: dict[str, Any], number: int
) -> list[BaseMetric]:
    """One CocoMetric of masks for each threshold.

    Args:
        evaluator: config of a CocoMetric.
        dataset_meta: the data set's ``metainfo``.
        number: of thresholds.

    Raises:
        ValueError: if the evaluator is not one CocoMetric, or calls labels by other names.
    """
    if not isinstance(evaluator, dict) or evaluator.get("type") not in METRIC_TYPES:
        raise ValueError(
            f"a threshold sweep needs test_evaluator=dict(type={METRIC_TYPES[0]!r}, ...), not "
            f"{evaluator}"
        )
    # Whatever else the evaluator sets: FIGURES are read by their plain names.
    plain = dict(metric="segm", metric_items=None, format_only=False, prefix=None)
    metric = METRICS.build(dict(evaluator) | plain)
    metric.dataset_meta = dataset_meta
    if not isinstance(metric, CocoMetricByName):  # which has checked itself
        check_metric_labels(metric, dataset_meta["classes"])
    # Shallow copies: all read the annotations that the first has loaded.
    metrics = [copy(metric) for _ in range(number)]
    for each in metrics:
        each.results = []
    return metrics


def sweep_thresholds(
    model: EmbedMask,
    batches: Iterable[dict[str, Any]],
    metrics: Sequence[BaseMetric],
    thresholds: Sequence[float],
) -> list[dict[str, float]]:
    """Evaluate the same detections with their masks cut at each threshold.

    Args:
        model: in eval mode.
        batches: of a test data loader, each image once.
        metrics: one for each threshold, see `build_metrics`.
        thresholds: between 0 and 1.

    Returns:
        FIGURES, between 0 and 1 (-1: nothing to measure), for each threshold.
    """
    images = 0
    for batch in batches:
        for image in inspect_batch(model, batch):
            images += 1
            for metric, masks in zip(metrics, masks_per_threshold(image, thresholds), strict=True):
                metric.process({}, [_sample(image, masks)])
    results = [metric.evaluate(size=images) for metric in metrics]
    # CocoMetric gives no figure at all where there is no detection.
    return [{name: result.get(f"coco/segm_{name}", 0.0) for name in FIGURES} for result in results]


def masks_per_threshold(
    image: InspectedImage, thresholds: Sequence[float]
) -> list[list[RunLengths]]:
    """Masks of all detections as COCO's run lengths, for each threshold.

    Args:
        image: K detections.
        thresholds: T of them.

    Returns:
        T lists of K run lengths at the original size.
    """
    img_shape, ori_shape = image.meta["img_shape"][:2], image.meta["ori_shape"][:2]
    masks = [
        masks_of_probabilities(
            image.probability,
            img_shape,
            ori_shape,
            mask_thr=threshold,
            resize=image.mask_resize,
            mask_stride=image.mask_stride,
            mask_format="rle",
        )
        for threshold in thresholds
    ]
    return cast(list[list[RunLengths]], masks)  # by their format


def _sample(image: InspectedImage, masks: list[RunLengths]) -> dict[str, Any]:
    """The image as CocoMetric reads it from the test loop."""
    instances = dict(
        bboxes=image.original_bboxes(), scores=image.scores, labels=image.labels, masks=masks
    )
    return dict(
        img_id=image.meta["img_id"], ori_shape=image.meta["ori_shape"], pred_instances=instances
    )


def default_thresholds() -> list[float]:
    """0.30 to 0.70 in steps of 0.02, around the paper's 0.52 and 0.53."""
    return np.arange(0.30, 0.701, 0.02).round(2).tolist()


def best_threshold(thresholds: Sequence[float], results: Sequence[dict[str, float]]) -> float:
    """The threshold of the highest mask AP; of several the first."""
    values = torch.tensor([result["mAP"] for result in results])
    return thresholds[int(values.argmax())]
