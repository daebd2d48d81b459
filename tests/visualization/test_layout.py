import numpy as np
import pytest
from drawn import assert_nothing_is_clipped, box_mask

from mmdet_embedmask.visualization.layout import (
    MAX_TITLE,
    beside,
    page,
    picture_size,
    resized,
    shortened,
    titled,
)
from mmdet_embedmask.visualization.legend import SWATCH, legend
from mmdet_embedmask.visualization.overlay import draw_values, overlay_masks, value_place
from mmdet_embedmask.visualization.style import GAP, HEADER_HEIGHT, OPACITY


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((100, 50, 3), (200, 100)), ((300, 600), (100, 200)), ((1, 900), (1, 200))],
)
def test_picture_size(shape, expected):
    assert picture_size(shape, 200) == expected


def test_a_small_tile_is_refused():
    with pytest.raises(ValueError, match="tile=100 leaves no room"):
        picture_size((10, 10), 100)


def test_resizing_keeps_halves_apart():
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, 4:] = 200
    for size in ((4, 4), (80, 80)):
        result = resized(image, size)
        assert result.shape == (*size, 3)
        assert (result[:, 0] == 0).all() and (result[:, -1] == 200).all()


def test_panels_stand_where_they_should():
    first, second = np.full((20, 100, 3), 10, np.uint8), np.full((40, 200, 3), 20, np.uint8)
    panels = [titled(picture, "title", 200) for picture in (first, second)]
    assert [p.shape for p in panels] == [(HEADER_HEIGHT + 20, 200, 3), (HEADER_HEIGHT + 40, 200, 3)]
    whole = page([beside(panels)], "of the page")
    assert whole.shape == (GAP + 2 * HEADER_HEIGHT + 40 + GAP, 3 * GAP + 400, 3)
    top = GAP + 2 * HEADER_HEIGHT
    assert (whole[top : top + 20, GAP + 50 : GAP + 150] == 10).all()
    assert (whole[top : top + 40, 2 * GAP + 200 : 2 * GAP + 400] == 20).all()
    assert ((whole == 10).all(axis=2).sum(), (whole == 20).all(axis=2).sum()) >= (2000, 8000)
    assert_nothing_is_clipped(whole)


@pytest.mark.parametrize("title", ["x" * 500, "Wörter 中文", ""])
def test_titles_are_shortened_and_stay_inside(title):
    assert len(shortened(title)) <= MAX_TITLE and shortened(title).isascii()
    panel = titled(np.zeros((10, 300, 3), np.uint8), title, 300)
    assert (panel[:HEADER_HEIGHT, :2] == 255).all() and (panel[:HEADER_HEIGHT, -2:] == 255).all()
    assert (panel[:2] == 255).all() and (panel[HEADER_HEIGHT - 2 : HEADER_HEIGHT] == 255).all()
    assert (panel[:HEADER_HEIGHT].min() < 128) == bool(title)


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


def test_values_stand_in_thick_masks_and_above_thin_ones():
    assert value_place(box_mask(20, 20, 61, 81)) == pytest.approx((40, 40), abs=11)
    x, y = value_place(box_mask(40, 50, 50, 54))
    assert (x, y) == (44.5, 41.0)
    assert value_place(box_mask(0, 0, 0, 0)) == (50, 50)


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


def test_legend_shows_every_colour_inside_its_line():
    line = legend([("found", (0, 255, 0)), ("missed", (0, 0, 255))], 300)
    assert line.shape == (HEADER_HEIGHT, 300, 3)
    for color in ((0, 255, 0), (0, 0, 255)):
        assert (line == color).all(axis=2).sum() == SWATCH**2
    assert (line[:, :2] == 255).all() and (line[:, -2:] == 255).all()
    assert (line[:2] == 255).all() and (line[-2:] == 255).all()
