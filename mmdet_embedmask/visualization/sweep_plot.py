"""Plot of a threshold sweep (paper figure 5)."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..files import write_bytes


def sweep_figure(
    thresholds: Sequence[float], curves: dict[str, Sequence[float]], marked: float
) -> Figure:
    """Mask AP over the threshold, one curve a model.

    Args:
        thresholds: of the x axis.
        curves: mask AP (0 to 1) at every threshold, by name.
        marked: threshold that is drawn as a vertical line.

    Returns:
        The figure; nothing of pyplot's global state is touched.
    """
    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, values in curves.items():
        axes.plot(thresholds, [100 * value for value in values], marker="o", ms=4, label=name)
    axes.axvline(marked, color="0.6", linestyle="--", label=f"highest AP at {marked:g}")
    axes.set_xlabel("mask threshold")
    axes.set_ylabel("mask AP (%)")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside upper center", ncols=2)  # beside the curves, never on them
    return figure


def write_figure(figure: Figure, path: Path) -> None:
    """Write a PNG of 150 dots an inch."""
    png = BytesIO()
    figure.savefig(png, dpi=150, format="png")
    write_bytes(path, png.getvalue())
