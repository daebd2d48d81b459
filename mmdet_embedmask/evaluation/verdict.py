"""What happened to the true instances of an image, and which image fared worst."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .matching import FOUND_IOU, Objects, Overlap, match, matched_ious, mean_iou, overlap

MOST = 0.5
"""More than this share of an area is most of it."""

Outcome = Literal["found", "split", "merged", "missed"]
"""Of a true instance; all but the first are lost. `judge` says what each means."""

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True)
class Verdict:
    """How the instances of one image fared.

    Args:
        outcomes: (G,) of every true instance.
        ious: (G,) its mask IoU with its prediction.
        extra: predictions that find no true instance.
    """

    outcomes: tuple[Outcome, ...]
    ious: tuple[float, ...]
    extra: int

    @property
    def lost(self) -> int:
        """True instances that no prediction finds, split and merged ones included."""
        return len(self.outcomes) - self.outcomes.count("found")

    @property
    def mean_iou(self) -> float | None:
        """Mean over the true instances; None without any."""
        return mean_iou(np.array(self.ious))

    def numbers(self) -> dict[str, Any]:
        """Everything, for a JSON file."""
        counts: dict[str, int] = {name: self.outcomes.count(name) for name in OUTCOMES}
        instances = len(self.outcomes)
        return (
            dict(instances=instances, lost=self.lost, **counts)
            | dict(mean_iou=self.mean_iou)
            | asdict(self)
        )


def judge(truth: Objects, prediction: Objects) -> Verdict:
    """Find out what happened to every true instance.

    - found: a prediction that no other instance takes has a mask IoU of FOUND_IOU or more with it
    - split: two or more predictions have most of their area inside it
    - merged: a prediction covers most of it, and most of another true instance
    - missed: none of these

    Args:
        truth: G objects.
        prediction: K objects, masks of the same size.
    """
    shares = overlap(truth, prediction)
    matched = match(shares.iou)
    ious = matched_ious(shares.iou, matched)
    found = ious >= FOUND_IOU
    outcomes = np.full(len(ious), "missed", dtype=object)
    outcomes[_merged(shares)] = "merged"
    outcomes[(shares.of_prediction > MOST).sum(axis=1) >= 2] = "split"
    outcomes[found] = "found"
    extra = len(prediction.labels) - int(found.sum())
    return Verdict(tuple(outcomes), tuple(float(value) for value in ious), extra)


def rank(verdicts: Sequence[Verdict]) -> list[int]:
    """Positions of the images, the worst first: most lost instances, then lowest mean IoU.

    Images without instances come last, those with more wrong predictions first.
    """

    def badness(index: int) -> tuple[float, ...]:
        verdict = verdicts[index]
        mean = verdict.mean_iou
        return -verdict.lost, np.inf if mean is None else mean, -verdict.extra, index

    return sorted(range(len(verdicts)), key=badness)


def _merged(shares: Overlap) -> NDArray[np.bool_]:
    """True instances (G,) that lie mostly in a prediction that holds two or more of them."""
    covered = shares.of_truth > MOST
    crowded = covered.sum(axis=0) >= 2
    return np.asarray((covered & crowded).any(axis=1))
