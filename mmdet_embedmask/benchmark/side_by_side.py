"""What a benchmark has measured, as table, JSON and plot."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..tables import markdown_table
from .inference_memory import InferenceMemory
from .stages import STAGE_NAMES, StageName, StageTimes

GIGA = 1e9


@dataclass(frozen=True)
class Spread:
    """Median, 95th percentile, lowest and highest of several values."""

    p50: float
    p95: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of one value or more."""
        return cls(median(values), float(np.percentile(values, 95)), min(values), max(values))

    def text(self, digits: int) -> str:
        """Median (lowest to highest)."""
        middle, low, high = (f"{x:.{digits}f}" for x in (self.p50, self.minimum, self.maximum))
        return f"{middle} ({low} to {high})"


@dataclass(frozen=True)
class Measured:
    """What was measured of one detector.

    Args:
        name: of the detector.
        runs: the times of every run.
        instances: of all images of one run.
        mask_share: mean part of the image that a mask covers; None: it was not looked at.
        parameters: of the whole detector.
        flops: of a whole inference, where a multiply and an add are two; None: not counted.
        memory: None: not measured.
    """

    name: str
    _: KW_ONLY
    runs: Sequence[StageTimes]
    instances: int
    mask_share: float | None
    parameters: int
    flops: int | None = None
    memory: InferenceMemory | None = None

    def stage(self, name: StageName) -> Spread:
        """Milliseconds of one stage."""
        return Spread.of([run[name] for run in self.runs])

    def total(self) -> Spread:
        """Milliseconds of all stages together; their median is not the sum of the medians."""
        return Spread.of([sum(run.values()) for run in self.runs])

    def to_json(self) -> dict[str, Any]:
        """What `json` can write; times in milliseconds, memory in bytes."""
        return asdict(self) | dict(
            total_ms=asdict(self.total()),
            stages_ms={name: asdict(self.stage(name)) for name in STAGE_NAMES},
        )


def comparison_table(measured: Sequence[Measured]) -> str:
    """Markdown: a row a detector, times in milliseconds.

    Median (lowest to highest) of the whole, its ratio to the first detector's, medians of the
    stages, memory of the network alone and of the whole, parameters and FLOPs.
    """
    stages = [name for name in STAGE_NAMES if any(m.stage(name).maximum > 0 for m in measured)]
    header = ["detector", "whole (ms)", "p95", "ratio", *stages]
    header += ["memory, network (MB)", "whole (MB)", "parameters (M)", "GFLOPs"]
    first = measured[0].total().p50
    rows = []
    for m in measured:
        total = m.total()
        times = [f"{m.stage(name).p50:.1f}" for name in stages]
        memory = ["", ""]
        if m.memory is not None:
            memory = [f"{m.memory.network / 1e6:.0f}", f"{m.memory.whole / 1e6:.0f}"]
        flops = "" if m.flops is None else f"{m.flops / GIGA:.0f}"
        row = [m.name, total.text(0), f"{total.p95:.0f}", f"{total.p50 / first:.2f}", *times]
        rows.append([*row, *memory, f"{m.parameters / 1e6:.1f}", flops])
    return markdown_table(header, rows)


def comparison_figure(measured: Sequence[Measured]) -> Figure:
    """A bar a detector, made of the medians of its stages.

    Returns:
        The figure; nothing of pyplot's global state is touched.
    """
    figure = Figure(figsize=(8, 1.2 + 0.5 * len(measured)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    names = [m.name for m in measured]
    left = np.zeros(len(measured))
    for stage in STAGE_NAMES:
        widths = np.array([m.stage(stage).p50 for m in measured])
        if widths.any():
            axes.barh(names, widths, left=left, label=stage)
            left += widths
    axes.invert_yaxis()  # the first detector on top
    axes.set_xlabel("milliseconds (medians of the stages)")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=4)
    return figure
