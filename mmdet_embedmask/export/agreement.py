"""How far an ONNX file's detections are from those of its model.

Shapes used in this module:

    H, W: size of the image, K: detections, h, w: size of the probability maps
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from mmdet.structures import DetDataSample
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..embed_mask import EmbedMask
from ..inspection import inspect_batch
from .onnx_file import INPUT, OUTPUTS

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

TOLERANCE = 1e-3
"""Largest difference of a score or a probability."""

BOX_TOLERANCE = 1e-2
"""Largest difference of a box's side in pixels: float32 has steps of 1e-4 at pixel 1333."""

OTHER_LABEL = 1e6
"""Cost in pixels of a pair with different labels: more than any pair of the same label."""

Array = NDArray[Any]


class Detected(NamedTuple):
    """Detections of one image, as `OnnxEmbedMask` gives them.

    Args:
        bboxes: (K, 4) in pixels of the network input.
        scores: (K,).
        labels: (K,).
        probabilities: (K, h, w).
    """

    bboxes: Array
    scores: Array
    labels: Array
    probabilities: Array


@dataclass(frozen=True)
class Agreement:
    """How far detections of the same images are from each other.

    Args:
        detections: how many the model has.
        missing: how many more or fewer the file has.
        labels: how many pairs differ in their label.
        box: largest difference of a side in pixels of the network input.
        score: largest difference.
        probability: largest difference of a cell.
    """

    detections: int
    missing: int
    labels: int
    box: float
    score: float
    probability: float

    @property
    def holds(self) -> bool:
        """Whether everything agrees; a difference that is not a number does not."""
        return (
            self.missing == 0
            and self.labels == 0
            and self.box <= BOX_TOLERANCE
            and self.score <= TOLERANCE
            and self.probability <= TOLERANCE
        )

    def __str__(self) -> str:
        labels = "labels are equal" if self.labels == 0 else f"{self.labels} labels differ"
        missing = f", {self.missing} more or fewer in the file" if self.missing else ""
        return (
            f"{self.detections} detections{missing}, {labels}; largest difference of a box "
            f"{self.box:.1e} pixels, of a score {self.score:.1e}, of a probability "
            f"{self.probability:.1e}"
        )


def compare(model: EmbedMask, session: "InferenceSession", image: Array) -> Agreement:
    """Run the model's own prediction and the file on one image.

    Args:
        model: in eval mode, on the CPU.
        session: of the file.
        image: (H, W, 3) uint8 in blue, green, red, of the network input's size.
    """
    found = Detected(*session.run(list(OUTPUTS), {INPUT: np.ascontiguousarray(image)}))
    return agreement(predict(model, image), found)


def predict(model: EmbedMask, image: Array) -> Detected:
    """The model's own prediction; arguments as `compare`."""
    shape = image.shape[:2]
    metainfo = dict(img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0))
    inputs = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    data = dict(inputs=[inputs], data_samples=[DetDataSample(metainfo=metainfo)])
    (inspected,) = inspect_batch(model, data)
    values = inspected.bboxes, inspected.scores, inspected.labels, inspected.probability
    return Detected(*(value.numpy() for value in values))


def agreement(expected: Detected, found: Detected) -> Agreement:
    """Pair the detections by their boxes and labels, and compare the pairs.

    Not by their order: two scores that are equal but for rounding may change places.
    """
    box = np.abs(expected.bboxes[:, None] - found.bboxes[None]).max(axis=2)
    score = np.abs(expected.scores[:, None] - found.scores[None])
    cost = box + score + OTHER_LABEL * (expected.labels[:, None] != found.labels[None])
    # A cost that is not a number cannot be assigned; it stays in the differences.
    one, other = linear_sum_assignment(np.nan_to_num(cost, nan=OTHER_LABEL))
    maps = expected.probabilities[one], found.probabilities[other]
    return Agreement(
        detections=len(expected.scores),
        missing=abs(len(expected.scores) - len(found.scores)),
        labels=int(np.count_nonzero(expected.labels[one] != found.labels[other])),
        box=_largest(box[one, other]),
        score=_largest(score[one, other]),
        probability=_largest(maps[0] - maps[1]),
    )


def worst(agreements: Sequence[Agreement]) -> Agreement:
    """The agreement over several images."""
    return Agreement(
        detections=sum(a.detections for a in agreements),
        missing=sum(a.missing for a in agreements),
        labels=sum(a.labels for a in agreements),
        # Not `max`, which passes over what is not a number.
        box=_largest(np.array([a.box for a in agreements])),
        score=_largest(np.array([a.score for a in agreements])),
        probability=_largest(np.array([a.probability for a in agreements])),
    )


def check_agreement(found: Agreement) -> None:
    """Check that the detections of all images verify the file.

    Raises:
        ValueError: if they do not agree, or if there are none.
    """
    if not found.holds:
        raise ValueError(f"the file does not agree: {found}")
    if found.detections == 0:
        raise ValueError(
            "the model detects nothing on these images, which verifies nothing: give a trained "
            "checkpoint and images with its objects, or a lower score_thr (--cfg-options "
            "model.test_cfg.score_thr=0.05)"
        )


def _largest(differences: Array) -> float:
    return float(np.abs(differences).max(initial=0.0))
