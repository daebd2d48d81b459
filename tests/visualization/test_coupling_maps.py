import cv2
import numpy as np
import pytest
import torch
from drawn import assert_nothing_is_clipped, gray_image, inspected_image, panel

from mmdet_embedmask.functional.coupling import mask_probability, squared_distance
from mmdet_embedmask.functional.mask_prediction import masks_of_probabilities
from mmdet_embedmask.functional.resize import maps_at_size
from mmdet_embedmask.visualization.coupling_maps import (
    CONTOUR,
    coupling_maps,
    draw_contour,
    part_probabilities,
)
from mmdet_embedmask.visualization.maps import colored_map
from mmdet_embedmask.visualization.style import GAP, HEADER_HEIGHT

TILE = 192
PICTURE = (128, 192)


def draw(inspected, instances=(0, 1), mask_thr=0.5):
    return coupling_maps(
        gray_image(),
        inspected,
        instances,
        class_names=("cat", "dog"),
        mask_thr=mask_thr,
        title="a picture",
        tile=TILE,
    )


def test_the_product_of_the_parts_is_the_probability():
    inspected = inspected_image(pixels=torch.randn(6, 8, 12), margin=0.3)
    aware, free = part_probabilities(inspected)
    whole = squared_distance(
        inspected.pixel_embedding, inspected.proposal_embedding, inspected.proposal_margin
    )
    torch.testing.assert_close(aware * free, mask_probability(whole))
    difference = inspected.pixel_embedding[:2, 3, 5] - inspected.proposal_embedding[1, :2]
    torch.testing.assert_close(aware[1, 3, 5], torch.exp(-0.3 * difference.square().sum()))


@pytest.mark.parametrize(("free", "aware"), [(3, 0), (0, 2)])
def test_a_part_that_is_absent_is_one_everywhere(free, aware):
    inspected = inspected_image(free=free, aware=aware)
    parts = part_probabilities(inspected)
    absent, present = parts if aware == 0 else parts[::-1]
    assert (absent == 1).all() and absent.shape == (2, 8, 12)
    assert present.min() < 0.5
    column = 1 if aware == 0 else 2
    assert (panel(draw(inspected), column, PICTURE, TILE) == colored_map(np.ones((1, 1)))).all()


def test_panels_show_the_maps():
    inspected = inspected_image()
    picture = draw(inspected)
    aware, free = part_probabilities(inspected)
    maps = [
        maps_at_size(values, (64, 96), PICTURE, stride=stride).numpy()
        for values, stride in ((aware, 8), (free, 8), (inspected.probability, 4))
    ]
    for row in (0, 1):
        for column, values in enumerate(maps, start=1):
            shown = panel(picture, column, PICTURE, TILE, row)
            assert np.array_equal(shown, colored_map(values[row]))
    # Where both parts are one, so is the product; the free part alone holds the whole half.
    product, free_panel = (panel(picture, column, PICTURE, TILE) for column in (3, 2))
    yellow, dark = colored_map(np.array([[1.0, 0.0]]))[0].astype(int)
    assert np.abs(product[56, 40] - yellow).max() < 80 and (free_panel[0, 0] == yellow).all()
    assert np.abs(product[0, 190] - dark).max() < 10
    assert np.abs(panel(picture, 2, PICTURE, TILE, 1)[0, 0] - dark).max() < 10


def test_the_box_is_drawn_where_it_is():
    picture = panel(draw(inspected_image()), 0, PICTURE, TILE).astype(int)
    changed = (picture != 100).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert rows[[0, -1]] == pytest.approx([16, 112], abs=1)
    assert columns[[0, -1]] == pytest.approx([16, 80], abs=1)
    assert not changed[20:108, 20:76].any()


@pytest.mark.parametrize("mask_thr", [0.2, 0.5, 0.8])
def test_the_contour_lies_where_the_probability_crosses_the_threshold(mask_thr):
    inspected = inspected_image()
    shown = panel(draw(inspected, [1], mask_thr), 4, PICTURE, TILE)
    changed = (shown != 100).any(axis=2)
    probability = maps_at_size(inspected.probability[1:], (64, 96), PICTURE)[0].numpy()
    inside = (probability > mask_thr).astype(np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    crossing = cv2.dilate(inside, kernel) != cv2.erode(inside, kernel)
    assert crossing.any() and changed[crossing & (inside > 0)].all()
    near = cv2.dilate(crossing.astype(np.uint8), kernel, iterations=CONTOUR + 1)
    assert not changed[near == 0].any()


def test_holes_have_a_contour_too():
    mask = np.zeros((60, 60), bool)
    mask[10:50, 10:50] = True
    mask[25:35, 25:35] = False
    drawn = (draw_contour(np.zeros((60, 60, 3), np.uint8), mask, (0, 0, 255)) > 0).any(axis=2)
    assert drawn[30, 24] and drawn[30, 10] and not drawn[30, 30] and not drawn[30, 17]


def test_the_contour_is_that_of_the_final_mask():
    inspected = inspected_image()
    masks = masks_of_probabilities(inspected.probability, (64, 96), PICTURE, mask_thr=0.5)
    assert torch.equal(masks, inspected.masks(0.5))  # the picture has the original's size here


def test_every_instance_adds_a_row_and_nothing_is_clipped():
    one, two = draw(inspected_image(), [1]), draw(inspected_image(), [0, 1])
    row = HEADER_HEIGHT + 128 + GAP
    assert one.shape == (2 * GAP + 3 * HEADER_HEIGHT + row, 5 * TILE + 6 * GAP, 3)
    assert two.shape[0] == one.shape[0] + row
    for picture in (one, two):
        assert_nothing_is_clipped(picture)


def test_wrong_instances_are_refused():
    with pytest.raises(ValueError, match="no instance to draw: lower the score threshold"):
        draw(inspected_image(), [])
    with pytest.raises(ValueError, match=r"instances \[0, 2\] are not all among the 2 detections"):
        draw(inspected_image(), [0, 2])
