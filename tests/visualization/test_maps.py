import cv2
import numpy as np
import pytest

from mmdet_embedmask.visualization.maps import KEY_WIDTH, color_key, colored_map
from mmdet_embedmask.visualization.style import HEADER_HEIGHT


def test_the_colour_map_rises_in_brightness():
    colors = colored_map(np.linspace(0, 1, 32, dtype=np.float32)[None])
    gray = cv2.cvtColor(colors, cv2.COLOR_BGR2GRAY)[0].astype(int)
    assert (np.diff(gray) > 0).all()


def test_the_colour_key_runs_from_zero_to_one_and_marks_the_threshold():
    key = color_key(600, 0.25)
    left = (600 - KEY_WIDTH) // 2
    ends = colored_map(np.array([[0.0, 1.0]]))[0]
    y = HEADER_HEIGHT // 2 + 3
    assert (key[y, left] == ends[0]).all() and (key[y, left + KEY_WIDTH - 1] == ends[1]).all()
    assert (key[y, left - 1] == 255).all() and (key[y, left + KEY_WIDTH] == 255).all()
    mark = left + round(0.25 * (KEY_WIDTH - 1))
    assert (key[HEADER_HEIGHT // 2 - 4, mark] == 32).all()
    assert (key[:, :2] == 255).all() and (key[:, -2:] == 255).all() and (key[-2:] == 255).all()


@pytest.mark.parametrize("mask_thr", [0.0, 1.0])
def test_the_mark_at_either_end_leaves_the_text_whole(mask_thr):
    key = color_key(500, mask_thr)
    assert (key[:, :2] == 255).all() and (key[:, -2:] == 255).all() and (key[-2:] == 255).all()
