import numpy as np
import pytest

from mmdet_embedmask.visualization.learning_curves import learning_figure

RUNS = {
    "slow": [[(10, 0.1), (20, 0.3)], [(10, 0.2), (20, 0.5)]],
    "quick": [[(10, 0.4), (20, 0.6)]],
}
SECONDS = {"slow": 3.0, "quick": 0.5}


def test_a_line_is_the_mean_of_the_runs_over_iterations_and_over_seconds():
    by_iteration, by_time = learning_figure(RUNS, SECONDS).axes
    for axes, scale in ((by_iteration, {"slow": 1, "quick": 1}), (by_time, SECONDS)):
        slow, quick = axes.lines
        np.testing.assert_allclose(slow.get_xdata(), [10 * scale["slow"], 20 * scale["slow"]])
        np.testing.assert_allclose(slow.get_ydata(), [15.0, 40.0])
        np.testing.assert_allclose(quick.get_xdata(), [10 * scale["quick"], 20 * scale["quick"]])
        np.testing.assert_allclose(quick.get_ydata(), [40.0, 60.0])
        assert slow.get_marker() != quick.get_marker()
        assert axes.get_xlim()[0] == axes.get_ylim()[0] == 0
    assert by_iteration.get_xlabel() == "iterations"
    assert by_time.get_xlabel() == "seconds of training"


def test_the_band_reaches_from_the_lowest_to_the_highest_run():
    figure = learning_figure(RUNS, SECONDS)
    band = figure.axes[1].collections[0].get_paths()[0].vertices
    points = {(float(x), round(float(y), 6)) for x, y in band}
    assert {(30.0, 10.0), (30.0, 20.0), (60.0, 30.0), (60.0, 50.0)} <= points


def test_every_detector_is_named_once():
    (legend,) = learning_figure(RUNS, SECONDS).legends
    assert [text.get_text() for text in legend.get_texts()] == ["slow", "quick"]


def test_runs_that_were_evaluated_elsewhere_have_no_mean():
    with pytest.raises(ValueError, match="runs of net were evaluated at different iterations"):
        learning_figure({"net": [[(10, 0.1)], [(20, 0.1)]]}, {"net": 1.0})
