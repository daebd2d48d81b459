"""The measured times of the stages of inference."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from .tables import markdown_table

STAGES = ("backbone", "neck", "proposal head", "boxes", "pixel head", "masks", "rle")
"""In the order in which they run: 'boxes' decodes and suppresses, 'masks' couples and resizes to
full-size bool masks, 'rle' brings those to the host and encodes them as COCO does. CondInst runs
its instances' dynamic convolutions in its mask head's ``forward``: they are in 'pixel head'."""

TOTAL_STAGES = STAGES[:-1]
"""The paper's time per image ends with the masks."""


@dataclass(frozen=True)
class Spread:
    """Milliseconds of one stage over all runs."""

    median: float
    minimum: float
    maximum: float


@dataclass(frozen=True)
class StageTimes:
    """Measured times of one detector.

    Args:
        name: of the detector.
        image_size: (height, width) of the image.
        padded_size: (height, width) that the network saw.
        mask_size: (height, width) of the masks: the original image's.
        detections: how many instances each run gave.
        runs: milliseconds of every run, in the order of STAGES.
    """

    name: str
    image_size: tuple[int, int]
    padded_size: tuple[int, int]
    mask_size: tuple[int, int]
    detections: int
    runs: tuple[tuple[float, ...], ...]

    def stage(self, stage: str) -> Spread:
        """Spread of one of STAGES."""
        return _spread([run[STAGES.index(stage)] for run in self.runs])

    def total(self) -> Spread:
        """Spread of the sum of TOTAL_STAGES; its median is not the sum of the medians."""
        return _spread([sum(run[: len(TOTAL_STAGES)]) for run in self.runs])

    def to_json(self) -> dict[str, Any]:
        """What `json` can write; times in milliseconds."""
        return dict(
            name=self.name,
            image_size=list(self.image_size),
            padded_size=list(self.padded_size),
            mask_size=list(self.mask_size),
            detections=self.detections,
            stages_ms={stage: vars(self.stage(stage)) for stage in STAGES},
            total_ms=vars(self.total()),
            runs_ms=[dict(zip(STAGES, run, strict=True)) for run in self.runs],
        )


def _spread(values: Sequence[float]) -> Spread:
    return Spread(median(values), min(values), max(values))


def times_table(times: Sequence[StageTimes]) -> str:
    """Markdown: a row a stage, a column a detector, median (minimum - maximum) in milliseconds."""
    stages = {stage: [t.stage(stage) for t in times] for stage in TOTAL_STAGES}
    stages["total"] = [t.total() for t in times]
    stages["rle (not in the total)"] = [t.stage("rle") for t in times]
    rows = [
        [stage, *(f"{s.median:.1f} ({s.minimum:.1f} - {s.maximum:.1f})" for s in spreads)]
        for stage, spreads in stages.items()
    ]
    return markdown_table(["stage", *(t.name for t in times)], rows)
