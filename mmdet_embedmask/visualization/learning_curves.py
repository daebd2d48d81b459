"""Plot of what detectors reach while they train: over iterations, and over time."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from statistics import mean

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MARKERS = "osD^vP*X"
"""One a detector, so that curves can be told apart without colours."""

Curve = Sequence[tuple[int, float]]
"""Iteration and mask AP (0 to 1) of every evaluation of one run."""


def learning_figure(runs: Mapping[str, Sequence[Curve]], seconds: Mapping[str, float]) -> Figure:
    """Mask AP over iterations (left) and over seconds of training (right).

    A line is the mean of a detector's runs, the band behind it their lowest to highest.

    Args:
        runs: of each detector the curves of its runs, evaluated at the same iterations.
        seconds: of an iteration of each detector.

    Returns:
        The figure; nothing of pyplot's global state is touched.

    Raises:
        ValueError: if the runs of a detector were evaluated at different iterations.
    """
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    by_iteration, by_time = figure.subplots(1, 2, sharey=True)
    for (name, curves), marker in zip(runs.items(), cycle(MARKERS)):
        evaluated = {tuple(iteration for iteration, _ in curve) for curve in curves}
        if len(evaluated) > 1:
            raise ValueError(f"the runs of {name} were evaluated at different iterations")
        (iterations,) = evaluated
        values = [[100 * curve[place][1] for curve in curves] for place in range(len(iterations))]
        lowest, highest = [min(v) for v in values], [max(v) for v in values]
        for axes, scale in ((by_iteration, 1.0), (by_time, seconds[name])):
            x = [scale * iteration for iteration in iterations]
            (line,) = axes.plot(x, [mean(v) for v in values], marker=marker, ms=4, label=name)
            axes.fill_between(x, lowest, highest, color=line.get_color(), alpha=0.15, lw=0)
    by_iteration.set_xlabel("iterations")
    by_iteration.set_ylabel("mask AP (%)")
    by_time.set_xlabel("seconds of training")
    for axes in (by_iteration, by_time):
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    handles, labels = by_iteration.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure
