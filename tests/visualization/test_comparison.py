import numpy as np
from drawn import assert_nothing_is_clipped, box_mask, objects, panel

from mmdet_embedmask.visualization import comparison as module
from mmdet_embedmask.visualization.comparison import (
    BAD,
    UNMATCHED,
    Candidate,
    comparison,
    instance_ious,
)
from mmdet_embedmask.visualization.style import GAP

TILE = 200
PICTURE = (200, 200)
TRUTH = objects(box_mask(0, 0, 40, 40), box_mask(60, 60, 100, 100))
# 40 x 40 of which 40 x 30 is found: 0.75; the second one not at all.
PREDICTION = objects(box_mask(0, 0, 40, 30), box_mask(60, 0, 90, 30), scored=True)


def draw(*candidates):
    image = np.full((100, 100, 3), 100, np.uint8)
    return comparison(image, TRUTH, candidates, title="image.png", tile=TILE)


def test_ious_are_those_counted_by_hand():
    assert instance_ious(TRUTH, PREDICTION).tolist() == [0.75, 0.0]
    assert instance_ious(TRUTH, TRUTH).tolist() == [1.0, 1.0]


def test_the_numbers_and_their_mean_are_printed(monkeypatch):
    titles, values = [], []
    draw_values, titled = module.draw_values, module.titled
    monkeypatch.setattr(module, "draw_values", lambda *a: values.append(a) or draw_values(*a))
    monkeypatch.setattr(module, "titled", lambda *a: titles.append(a[1]) or titled(*a))
    draw(Candidate("old", PREDICTION), Candidate("new", TRUTH))
    assert titles == [
        "input",
        "ground truth: 2 instances",
        "old: mean IoU 0.375",
        "new: mean IoU 1.000",
    ]
    assert [texts for _, texts, _, _ in values] == [[".75", ".00"], ["1.00", "1.00"]]
    # Each on its instance, whose picture is twice as large.
    for _, _, ((x1, y1), (x2, y2)), _ in values:
        assert 0 < x1 < 80 and 0 < y1 < 80 and 120 < x2 < 200 and 120 < y2 < 200


def test_matched_predictions_have_the_colour_of_their_instance():
    picture = draw(Candidate("old", PREDICTION), Candidate("new", TRUTH))
    truth, old, new = (panel(picture, column, PICTURE, TILE) for column in (1, 2, 3))
    corner = truth[0, 79]  # the outline, which the image's own border does not have
    assert (corner == truth[20, 79]).all() and (corner != 100).any()
    assert (old[20, 79] == corner).all() and (new[20, 79] == corner).all()
    assert (truth[150, 120] != corner).any() and (new[150, 120] == truth[150, 120]).all()


def test_unmatched_predictions_are_gray_and_lost_instances_outlined_red():
    picture = draw(Candidate("old", PREDICTION), Candidate("new", TRUTH))
    old, new = (panel(picture, column, PICTURE, TILE) for column in (2, 3))
    assert (old[30, 120] == UNMATCHED).all()
    assert (old[120, 125:190] == BAD).all() and (old[130, 130] == 100).all()
    assert not (new == BAD).all(axis=2).any() and not (new == UNMATCHED).all(axis=2).any()


def test_the_page_is_as_wide_as_its_panels_and_nothing_is_clipped():
    picture = draw(Candidate("a" * 40, PREDICTION), Candidate("b", TRUTH))
    assert picture.shape[1] == 4 * TILE + 5 * GAP
    assert_nothing_is_clipped(picture)


def test_without_instances_every_panel_is_the_image():
    nothing = objects()
    image = np.full((100, 100, 3), 100, np.uint8)
    picture = comparison(image, nothing, (Candidate("a", nothing),), title="image.png", tile=TILE)
    assert all((panel(picture, column, PICTURE, TILE) == 100).all() for column in range(3))
