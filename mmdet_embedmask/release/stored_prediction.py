"""What a released model predicts for the image that is stored beside it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModel

from ..evaluation.matching import mask_ious
from ..functional.run_lengths import encode_masks
from ..inference.predictor import PipelinePredictor
from ..inputs.reading import split_pipeline

MAX_BOX_DIFFERENCE = 1.0
"""In pixels. Processors add up in different orders, so that a prediction differs a little."""

MAX_SCORE_DIFFERENCE = 0.01

MIN_MASK_IOU = 0.98

SCORE_MARGIN = 2 * MAX_SCORE_DIFFERENCE
"""A detection may be missing on one side if its score lies less than this above the cut."""


def predict_records(model: BaseModel, config: Config, image: Path) -> list[dict[str, Any]]:
    """Detections of an image file, the best first.

    Args:
        model: in eval mode.
        config: gives the test pipeline.
        image: a file.

    Returns:
        ``bbox`` [x1, y1, x2, y2] in pixels of the image, ``score``, ``label``, and ``segmentation``
        as COCO's run lengths, of every detection.
    """
    read, pipeline = split_pipeline(config)
    (found,) = PipelinePredictor(model, pipeline)([read(image)])
    return [
        dict(
            bbox=[round(float(side), 3) for side in bbox],
            score=round(float(score), 5),
            label=int(label),
            segmentation=dict(code),
        )
        for bbox, score, label, code in zip(
            found.bboxes, found.scores, found.labels, encode_masks(found.masks), strict=True
        )
    ]


@dataclass(frozen=True)
class StoredAgreement:
    """How far two predictions of one image are from each other.

    Args:
        detections: how many are stored.
        missing: how many of both together have no counterpart within the tolerances.
        box: largest difference of a side in pixels.
        score: largest difference.
        mask_iou: lowest.
    """

    detections: int
    missing: int
    box: float
    score: float
    mask_iou: float

    @property
    def holds(self) -> bool:
        """Whether every detection has its counterpart."""
        return self.missing == 0


def compare_records(
    stored: list[dict[str, Any]], found: list[dict[str, Any]], test_cfg: ConfigDict
) -> StoredAgreement:
    """Look for every detection's counterpart in the other prediction.

    Args:
        stored: of the release.
        found: now.
        test_cfg: of the model; says where detections are cut off.

    Raises:
        ValueError: if it does not say so.
    """
    for name in ("score_thr", "max_per_img"):
        if name not in test_cfg:
            raise ValueError(
                f"model.test_cfg has no {name}, so that nothing says where this detector cuts its "
                "detections off: its predictions cannot be compared"
            )
    cut = test_cfg.score_thr
    for records in (stored, found):
        # SOLO takes -1 for no limit.
        if 0 < test_cfg.max_per_img <= len(records):
            cut = max(cut, min(record["score"] for record in records))
    pairs, missing = [], 0
    for ours, others in ((stored, found), (found, stored)):
        for record in ours:
            differences = (_difference(record, other) for other in others)
            best = min((d for d in differences if d is not None), default=None)
            if best is not None:
                pairs.append(best)
            elif record["score"] >= cut + SCORE_MARGIN:
                missing += 1
    return StoredAgreement(
        detections=len(stored),
        missing=missing,
        box=max((box for box, _, _ in pairs), default=0.0),
        score=max((score for _, score, _ in pairs), default=0.0),
        mask_iou=1 - max((loss for _, _, loss in pairs), default=0.0),
    )


def _difference(record: dict[str, Any], other: dict[str, Any]) -> tuple[float, float, float] | None:
    """Differences of box and score, and 1 - mask IoU; None beyond the tolerances."""
    box = max(abs(a - b) for a, b in zip(record["bbox"], other["bbox"], strict=True))
    score = abs(record["score"] - other["score"])
    if record["label"] != other["label"] or box > MAX_BOX_DIFFERENCE:
        return None
    if score > MAX_SCORE_DIFFERENCE:
        return None
    mask, other_mask = record["segmentation"], other["segmentation"]
    # Two empty masks are equal, and have no IoU.
    iou = 1.0 if mask == other_mask else float(mask_ious([mask], [other_mask])[0, 0])
    return None if iou < MIN_MASK_IOU else (box, score, 1 - iou)
