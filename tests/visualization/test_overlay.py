import numpy as np
import pytest
from drawn import box_mask

from mmdet_embedmask.visualization.overlay import (
    VALUE_DEPTH,
    draw_values,
    overlay_masks,
    text_place,
)
from mmdet_embedmask.visualization.style import OPACITY


def test_overlay_colours_the_mask_alone():
    picture = np.full((100, 100, 3), 100, np.uint8)
    mask = box_mask(20, 30, 60, 70)
    overlay_masks(picture, mask[None], [(0, 0, 255)])
    assert (picture[~mask] == 100).all()
    assert (picture[30, 20] == (0, 0, 255)).all()
    mixed = np.round((1 - OPACITY) * 100 + OPACITY * np.array((0, 0, 255)))
    assert (picture[32:68, 22:58] == mixed).all()


def test_an_outline_alone_leaves_the_inside():
    picture = np.full((100, 100, 3), 100, np.uint8)
    overlay_masks(picture, box_mask(20, 30, 60, 70)[None], [(0, 0, 255)], outline=1, opacity=0)
    assert (picture[31:69, 21:59] == 100).all() and (picture[30, 20:60] == (0, 0, 255)).all()


def value_place(*box):
    return text_place(box_mask(*box).astype(np.uint8), VALUE_DEPTH)


def test_values_stand_in_thick_masks_and_above_thin_ones():
    assert value_place(20, 20, 61, 81) == pytest.approx((40, 40), abs=11)
    x, y = value_place(40, 50, 50, 54)
    assert (x, y) == (44.5, 41.0)
    assert value_place(0, 0, 0, 0) == (50, 50)


@pytest.mark.parametrize("middle", [(0, 0), (99, 99), (50, 50), (-20, 130)])
def test_values_are_drawn_whole(middle):
    picture = np.full((100, 100, 3), 128, np.uint8)
    draw_values(picture, [".87"], [middle], [(255, 255, 255)])
    drawn = (picture != 128).any(axis=2)
    assert drawn.sum() > 50 and picture.max() > 200 and picture.min() < 40
    assert not (drawn[0].any() or drawn[-1].any() or drawn[:, 0].any() or drawn[:, -1].any())


def test_values_at_the_same_place_are_drawn_apart():
    one, two = (np.full((100, 100, 3), 128, np.uint8) for _ in range(2))
    draw_values(one, [".87"], [(50, 50)], [(0, 255, 0)])
    draw_values(two, [".87", ".87"], [(50, 50)] * 2, [(0, 255, 0)] * 2)
    assert (two != 128).any(axis=2).sum() == 2 * (one != 128).any(axis=2).sum()
