import cv2
import numpy as np

from mmdet_embedmask.visualization.sweep_plot import sweep_figure, write_figure


def test_the_plot_shows_the_curve_in_percent_and_the_marked_threshold(tmp_path):
    figure = sweep_figure([0.4, 0.5, 0.6], {"net": [0.2, 0.35, 0.3]}, marked=0.5)
    (axes,) = figure.axes
    curve, marker = axes.lines
    np.testing.assert_allclose(curve.get_ydata(), [20.0, 35.0, 30.0])
    assert list(marker.get_xdata()) == [0.5, 0.5]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["net", "highest AP at 0.5"]
    write_figure(figure, tmp_path / "folder" / "sweep.png")
    image = cv2.imread(str(tmp_path / "folder" / "sweep.png"))
    assert image.shape == (600, 900, 3)
    border = np.concatenate([image[:3].ravel(), image[-3:].ravel(), image[:, :3].ravel()])
    assert (border == 255).all()  # no text is cut off
    assert (image < 128).any()
