import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mmdet_embedmask.inference.draw import Style, draw_detections
from mmdet_embedmask.visualization.colors import PALETTE, neighbor_colors
from mmdet_embedmask.visualization.labels import FONT_SCALE, label_size
from mmdet_embedmask.visualization.overlay import overlay_masks

PLAIN = Style(labels="none", boxes=False)


def detection(mask, category_id=0, bbox=None):
    code = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return dict(
        image_id=0,
        category_id=category_id,
        category="owl",
        bbox=coco_mask.toBbox(code).tolist() if bbox is None else bbox,
        score=0.5,
        segmentation=dict(size=code["size"], counts=code["counts"].decode()),
    )


def masks():
    """In the middle, at the border, and one that overlaps both."""
    result = np.zeros((3, 60, 90), bool)
    ys, xs = np.mgrid[:60, :90]
    result[0] = (ys - 30) ** 2 + (xs - 40) ** 2 < 15**2
    result[1, 30:, 60:] = True
    result[2, 25:45, 30:70] = True
    return result


def drawn(detections, style=PLAIN, size=(60, 90)):
    picture = np.full((*size, 3), 100, np.uint8)
    draw_detections(picture, detections, style)
    return picture


def test_drawing_where_a_mask_lies_equals_drawing_all_over():
    expected = np.full((60, 90, 3), 100, np.uint8)
    # Outlines of 2 pixels suit masks of 24 pixels and more; the third is 20 high.
    colors = neighbor_colors(masks())
    for mask, color, outline in reversed(list(zip(masks(), colors, (2, 2, 2), strict=True))):
        overlay_masks(expected, mask[None], [color], outline=outline)
    assert np.array_equal(drawn([detection(mask) for mask in masks()]), expected)


def test_small_masks_have_thin_outlines():
    small = np.zeros((60, 90), bool)
    small[10:20, 10:20] = True
    picture = drawn([detection(small)])
    solid = (picture == PALETTE[0]).all(axis=2)
    assert solid.sum() == 36 and solid[10, 10:20].all() and not solid[11, 11]


def test_better_masks_lie_on_top():
    picture = drawn(
        [detection(masks()[0], 0), detection(masks()[2], 1)], Style("none", "class", False)
    )
    ring = masks()[0] & ~np.pad(masks()[0], 1)[:-2, 1:-1]
    assert (picture[ring] == PALETTE[0]).all()


def test_class_colors_are_those_of_the_class():
    picture = drawn([detection(masks()[0], 12)], Style("none", "class", False))
    assert (picture[16, 40] == PALETTE[12 % len(PALETTE)]).all()


def test_neighbours_are_told_apart_by_the_columns_between_them():
    """The second and third are a column apart: touching, the third would be of another colour."""
    extents = [(60, 36, 76, 52), (9, 29, 18, 34), (19, 18, 36, 35)]
    rectangles = np.zeros((3, 60, 90), bool)
    for mask, (x1, y1, x2, y2) in zip(rectangles, extents, strict=True):
        mask[y1:y2, x1:x2] = True
    picture = drawn([detection(mask) for mask in rectangles])
    corners = [tuple(picture[y1, x1].tolist()) for x1, y1, _, _ in extents]
    assert corners == neighbor_colors(rectangles)


def test_boxes_can_be_left_out():
    one = [detection(masks()[0], bbox=[20.0, 10.0, 60.0, 45.0])]
    assert (drawn(one)[10, 20] == 100).all()
    assert (drawn(one, Style(labels="none"))[10, [20, 80]] == PALETTE[0]).all()


@pytest.mark.parametrize(
    ("labels", "texts"),
    [("fitting", ["owl 0.50", "0.50"]), ("all", ["owl 0.50"] * 3), ("none", [])],
)
def test_labels_are_written_where_there_is_room_or_everywhere(monkeypatch, labels, texts):
    written = []
    monkeypatch.setattr(
        "mmdet_embedmask.inference.draw.draw_label",
        lambda picture, text, *_, **__: written.append(text),
    )
    rows = np.zeros((3, 100, 300), bool)
    rows[0, 40:60, 10:110] = True
    rows[1, 0:100, 250:300] = True  # room inside it alone, for a score
    rows[2, 45:50, 150:155] = True  # its box: no room
    best_first = [detection(mask) for mask in rows]
    best_first[2]["bbox"] = [60.0, 30.0, 20.0, 60.0]
    drawn(best_first, Style(labels), (100, 300))
    assert written == texts


@pytest.mark.parametrize(("name", "text"), [("owl", "owl 0.50"), ("Käuze", "K?uze 0.50")])
def test_labels_everywhere_stand_above_their_boxes(monkeypatch, name, text):
    labels = []
    monkeypatch.setattr(
        "mmdet_embedmask.inference.draw.draw_label",
        lambda picture, text, place, **_: labels.append((text, place)),
    )
    mask = np.zeros((100, 300), bool)
    mask[50:90, 20:150] = True
    drawn([detection(mask) | dict(category=name)], Style("all"), (100, 300))
    width, height = label_size(text, FONT_SCALE)
    assert labels == [(text, (20, 50 - height, 20 + width, 50))]


def test_labels_are_dark_boxes_with_frames():
    mask = np.zeros((100, 200), bool)
    mask[50:90, 20:150] = True
    picture = drawn([detection(mask)], Style(boxes=False), (100, 200))
    black = (picture == 0).all(axis=2)
    rows, columns = np.flatnonzero(black.any(axis=1)), np.flatnonzero(black.any(axis=0))
    assert rows[-1] == 48 and columns[0] == 21  # inside a frame that touches the box
    assert (picture[49, 20:60] == PALETTE[0]).all()


def test_large_pictures_have_larger_outlines_and_labels():
    mask = np.zeros((1200, 2000), bool)
    mask[300:900, 500:1500] = True
    picture = drawn([detection(mask)], Style(boxes=False), (1200, 2000))
    row = (picture[600, 500:520] == PALETTE[0]).all(axis=1)
    assert row.tolist() == [True] * 5 + [False] * 15
    # Boxes have thinner lines, three pixels here.
    boxes = drawn([detection(mask)], Style("none"), (1200, 2000))
    row = (boxes[600, 490:510] == PALETTE[0]).all(axis=1)
    assert np.flatnonzero(row).tolist() == list(range(9, 15))
    rows = np.flatnonzero((picture[:, 510] == 0).all(axis=1))
    assert 25 < rows[-1] - rows[0] < 50 and rows[-1] < 300


def test_empty_masks_and_no_detections_leave_the_picture_as_it_is():
    assert (drawn([]) == 100).all()
    assert (drawn([detection(np.zeros((60, 90), bool))]) == 100).all()
