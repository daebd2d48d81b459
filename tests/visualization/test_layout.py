import numpy as np
import pytest
from drawn import assert_nothing_is_clipped

from mmdet_embedmask.visualization.layout import (
    MAX_TITLE,
    SWATCH,
    beside,
    legend,
    page,
    picture_size,
    resized,
    shortened,
    titled,
)
from mmdet_embedmask.visualization.style import GAP, HEADER_HEIGHT


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((100, 50, 3), (200, 100)), ((300, 600), (100, 200)), ((1, 900), (1, 200))],
)
def test_the_longer_side_of_a_picture_is_the_tile(shape, expected):
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


def test_legend_shows_every_colour_inside_its_line():
    line = legend([("found", (0, 255, 0)), ("missed", (0, 0, 255))], 300)
    assert line.shape == (HEADER_HEIGHT, 300, 3)
    for color in ((0, 255, 0), (0, 0, 255)):
        assert (line == color).all(axis=2).sum() == SWATCH**2
    assert (line[:, :2] == 255).all() and (line[:, -2:] == 255).all()
    assert (line[:2] == 255).all() and (line[-2:] == 255).all()
