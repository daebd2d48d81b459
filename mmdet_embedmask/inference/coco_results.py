"""Predictions as records in COCO's results format."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from mmengine.structures import InstanceData
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from ..functional.run_lengths import RunLengths, encode_masks


class Detection(TypedDict):
    """One instance; pycocotools' ``loadRes`` reads a list of them.

    ``category_id`` is the position of the class, from 0; ``bbox`` is x, y, width, height.
    """

    image_id: int
    category_id: int
    category: str
    bbox: list[float]
    score: float
    segmentation: RunLengths


class ImageRecord(TypedDict):
    """What was found in one image; ``file_name`` of a frame is that of its video."""

    image_id: int
    file_name: str
    height: int
    width: int
    detections: list[Detection]


def image_record(
    instances: InstanceData,
    class_names: Sequence[str],
    shape: tuple[int, ...],
    *,
    image_id: int,
    file_name: str,
) -> ImageRecord:
    """The record of one image.

    Args:
        instances: K predictions at the image's own size, see `detections_of`.
        class_names: name of every label.
        shape: of the image, (H, W, ...).
        image_id: number of the image.
        file_name: its name.

    Raises:
        ValueError: see `detections_of`.
    """
    return ImageRecord(
        image_id=image_id,
        file_name=file_name,
        height=shape[0],
        width=shape[1],
        detections=detections_of(instances, class_names, image_id),
    )


def detections_of(
    instances: InstanceData, class_names: Sequence[str], image_id: int
) -> list[Detection]:
    """Predictions in COCO's results format, in their order.

    Numbers are the shortest that give the same float32: 0.1, not 0.10000000149011612.

    Args:
        instances: ``bboxes`` (K, 4) as x1, y1, x2, y2, ``scores`` (K,), ``labels`` (K,), and
            ``masks`` as (K, H, W) or as K run lengths.
        class_names: name of every label.
        image_id: number of the image.

    Raises:
        ValueError: if there are no masks, or a label has no name.
    """
    if "masks" not in instances:
        raise ValueError(
            "the model predicts no masks: take an instance segmentor, not a detector of boxes"
        )
    codes = encode_masks(instances.masks)
    labels: list[int] = instances.labels.tolist()
    if labels and max(labels) >= len(class_names):
        raise ValueError(
            f"the model predicts class {max(labels)}, but its config names only "
            f"{len(class_names)} classes: correct test_dataloader.dataset.metainfo.classes"
        )
    boxes = _boxes(instances.bboxes.numpy(), codes)
    scores = _short(instances.scores.numpy())
    return [
        Detection(
            image_id=image_id,
            category_id=label,
            category=class_names[label],
            bbox=box,
            score=score,
            segmentation=code,
        )
        for label, box, score, code in zip(labels, boxes, scores, codes, strict=True)
    ]


def _boxes(boxes: NDArray[np.float32], codes: list[RunLengths]) -> list[list[float]]:
    """Boxes (K, 4) as x, y, width, height; those of the masks if the model has none, as SOLO."""
    if len(boxes) and not boxes.any():
        return [coco_mask.toBbox(code).tolist() for code in codes]
    sizes = boxes[:, 2:] - boxes[:, :2]
    return [_short(box) for box in np.concatenate([boxes[:, :2], sizes], axis=1)]


def _short(values: NDArray[np.float32]) -> list[float]:
    """The shortest numbers that read back as the same float32."""
    return [float(str(value)) for value in values.astype(np.float32)]
