from functools import partial

import drawn
import numpy as np
import pytest

from mmdet_embedmask.evaluation.matching import Objects
from mmdet_embedmask.visualization.rows import Row
from mmdet_embedmask.visualization.sheet import picture_sheet
from mmdet_embedmask.visualization.style import GAP, HEADER_HEIGHT, OPACITY, PAPER

TILE = 320
box_mask = partial(drawn.box_mask, size=(160, 160))


def make_row(truth=(), prediction=(), size=(160, 160), gray=100):
    truth_masks = np.array(list(truth), bool).reshape(-1, *size)
    masks = np.array(list(prediction), bool).reshape(-1, *size)
    return Row(
        np.full((*size, 3), gray, np.uint8),
        Objects(truth_masks, [0] * len(truth_masks)),
        Objects(masks, [1] * len(masks), [0.875] * len(masks)),
    )


def tiles(sheet, number=0, height=TILE, tile=TILE):
    """Input, truth and prediction of a row, in a sheet whose rows are equally high."""
    top = GAP + HEADER_HEIGHT + GAP + number * (height + GAP)
    lefts = [GAP + column * (tile + GAP) for column in range(3)]
    return [sheet[top : top + height, left : left + tile].astype(int) for left in lefts]


def test_the_sheet_is_as_large_as_its_rows_and_gaps():
    rows = [make_row(), make_row(size=(80, 160)), make_row(size=(100, 50))]
    sheet = picture_sheet(rows, ["a", "b"])
    heights = 320, 160, 320
    assert sheet.dtype == np.uint8
    assert sheet.shape == (
        HEADER_HEIGHT + sum(heights) + 5 * GAP,
        3 * TILE + 4 * GAP,
        3,
    )


def test_input_is_unchanged_and_margins_are_white():
    row = make_row([box_mask(20, 20, 90, 90)], [box_mask(20, 20, 90, 90)])
    sheet = picture_sheet([row], ["a", "b"])
    picture, truth, prediction = tiles(sheet)
    assert (picture == 100).all()
    outside = sheet.copy()
    top = 2 * GAP + HEADER_HEIGHT
    for left in (GAP, 2 * GAP + TILE, 3 * GAP + 2 * TILE):
        outside[top : top + TILE, left : left + TILE] = PAPER
        title = outside[GAP : GAP + HEADER_HEIGHT, left : left + TILE]
        assert title.min() < 100  # there is text ...
        title[2:-2, 40:-40] = PAPER
    assert (outside == PAPER).all()  # ... and it ends before the edges of its line


def test_overlay_is_inside_the_mask_alone():
    mask = box_mask(20, 40, 120, 140)
    truth = tiles(picture_sheet([make_row([mask])], ["a", "b"]))[1]
    inside = mask.repeat(2, axis=0).repeat(2, axis=1)
    assert (truth[~inside] == 100).all()
    assert (truth[inside] != 100).any(axis=1).all()
    red = np.array([25, 25, 255])  # first hue, blue first
    assert (truth[80, 40] == red).all() and (truth[279, 239] == red).all()
    mixed = np.round((1 - OPACITY) * 100 + OPACITY * red)
    assert (truth[90, 50] == mixed).all()


def test_a_hole_stays_open():
    mask = box_mask(20, 20, 140, 140) & ~box_mask(60, 60, 100, 100)
    truth = tiles(picture_sheet([make_row([mask])], ["a", "b"]))[1]
    assert (truth[140:180, 140:180] == 100).all()


def test_prediction_column_shows_the_prediction():
    first, second = box_mask(10, 10, 80, 80), box_mask(90, 90, 150, 150)
    row = make_row([first, second], [second])
    _, truth, prediction = tiles(picture_sheet([row], ["a", "b"]))
    corners = [(30, 30), (190, 190)]
    assert all((truth[corner] != 100).any() for corner in corners)
    assert (prediction[corners[0]] == 100).all()
    # The same object has the same colour, although the labels differ.
    assert (prediction[190, 190] == truth[190, 190]).all()
    assert (prediction != truth).any()


def test_a_second_prediction_of_an_object_has_its_own_colour():
    mask = box_mask(20, 20, 100, 100)
    wrong = box_mask(110, 110, 150, 150)
    row = make_row([mask], [mask, wrong])
    _, truth, prediction = tiles(picture_sheet([row], ["a", "b"]))
    assert (prediction[41, 41] == truth[41, 41]).all()
    assert (prediction[221, 221] != truth[41, 41]).any()
    again = tiles(picture_sheet([make_row([mask], [mask, mask])], ["a", "b"]))[2]
    assert (again[41, 41] != truth[41, 41]).any()


def test_the_label_of_a_thin_object_does_not_hide_it():
    thin = box_mask(60, 80, 100, 85)
    truth = tiles(picture_sheet([make_row([thin])], ["a", "b"]))[1]
    assert (truth[160:170, 120:200] != 0).any(axis=2).all()  # no black of a label
    rows = np.flatnonzero((truth == 0).all(axis=2).any(axis=1))
    assert 130 < rows.min() and rows.max() < 160


def test_no_objects_leave_all_columns_equal():
    picture, truth, prediction = tiles(picture_sheet([make_row()], ["a"]))
    assert (picture == truth).all() and (picture == prediction).all()


@pytest.mark.parametrize("size", [(3, 400), (400, 3), (1, 1), (2000, 1500)])
def test_a_sheet_takes_images_of_any_size(size):
    mask = np.ones(size, bool)
    sheet = picture_sheet([make_row([mask], [mask], size)], ["a", "b"], tile=200)
    assert sheet.shape[1] == 3 * 200 + 4 * GAP
    assert sheet.shape[0] >= 2 * HEADER_HEIGHT + 3 * GAP


def test_an_empty_mask_is_drawn_as_a_label_alone():
    sheet = picture_sheet([make_row([], [box_mask(0, 0, 0, 0)])], ["a", "b"])
    picture, _, prediction = tiles(sheet)
    assert (picture != prediction).any(axis=2).mean() < 0.03


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Row(np.zeros((4, 4)), *[Objects(np.zeros((0, 4, 4), bool), [])] * 2), "must be uint8"),
        (
            Row(np.zeros((4, 4, 3), np.uint8), *[Objects(np.zeros((1, 4, 5), bool), [0])] * 2),
            r"row 0, ground truth: masks of shape \(1, 4, 5\) do not fit 1 labels",
        ),
        (
            Row(np.zeros((4, 4, 3), np.uint8), *[Objects(np.zeros((1, 4, 4), bool), [2])] * 2),
            "labels from 2 to 2 do not fit the 2 class names",
        ),
        (
            Row(
                np.zeros((4, 4, 3), np.uint8),
                Objects(np.zeros((0, 4, 4), bool), []),
                Objects(np.zeros((1, 4, 4), bool), [0], [0.1, 0.2]),
            ),
            "row 0, prediction: 2 scores for 1 labels",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(row, message):
    with pytest.raises(ValueError, match=message):
        picture_sheet([row], ["a", "b"])


def test_no_rows_and_small_tiles_are_refused():
    with pytest.raises(ValueError, match="at least one row"):
        picture_sheet([], ["a"])
    with pytest.raises(ValueError, match="tile=100 leaves no room"):
        picture_sheet([make_row()], ["a", "b"], tile=100)
