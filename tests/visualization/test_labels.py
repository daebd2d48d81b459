import numpy as np

from mmdet_embedmask.visualization.labels import MAX_HIDDEN, draw_labels, fitting_labels

CANVAS = (100, 200)


def places(boxes, sizes):
    return fitting_labels(np.array(boxes, float).reshape(-1, 4), sizes, CANVAS)


def test_a_label_stands_above_its_box_then_inside_then_below():
    big = [50, 40, 150, 90]
    assert places([big], [[(60, 10)]]) == [(0, (50, 30, 110, 40))]
    assert places([[50, 5, 150, 95]], [[(60, 10)]]) == [(0, (50, 5, 110, 15))]
    # No room above, and inside it would hide too much.
    assert places([[50, 5, 80, 35]], [[(30, 10)]]) == [(0, (50, 35, 80, 45))]
    # Moved into the picture from the right.
    assert places([[180, 40, 200, 60]], [[(60, 10)]]) == [(0, (140, 30, 200, 40))]


def test_a_place_that_just_fits_is_taken_and_no_smaller_one():
    # Inside it, all that labels may hide of 10,000 pixels: 1,200.
    assert places([[50, 0, 150, 100]], [[(60, 20)]]) == [(0, (50, 0, 110, 20))]
    assert places([[50, 0, 150, 100]], [[(61, 20)]]) == [None]
    # Below it, down to the lower edge of the picture; above it, from the upper one.
    assert places([[50, 5, 80, 85]], [[(30, 15)]]) == [(0, (50, 85, 80, 100))]
    assert places([[50, 5, 80, 86]], [[(30, 15)]]) == [None]
    assert places([[50, 15, 80, 85]], [[(30, 15)]]) == [(0, (50, 0, 80, 15))]


def test_the_shorter_label_is_taken_where_the_longer_has_no_room():
    boxes = [[10, 60, 40, 95], [45, 45, 75, 75]]
    # Above the first lies the second, below it the picture ends, inside it too much would hide.
    assert places(boxes, [[(60, 10)], []]) == [None, None]
    assert places(boxes, [[(60, 10), (30, 10)], []]) == [(1, (10, 50, 40, 60)), None]


def test_fitting_labels_never_cover_each_other_nor_much_of_a_box():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, [170, 70], (40, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 30, (40, 2))], axis=1)
    chosen = places(boxes, [[(40, 9), (18, 9)]] * 40)
    drawn = np.zeros(CANVAS, int)
    for choice in chosen:
        if choice:
            x1, y1, x2, y2 = choice[1]
            assert (x2 - x1, y2 - y1) == [(40, 9), (18, 9)][choice[0]]
            assert 0 <= x1 < x2 <= CANVAS[1] and 0 <= y1 < y2 <= CANVAS[0]
            drawn[y1:y2, x1:x2] += 1
    assert drawn.max() == 1 and 0 < sum(choice is None for choice in chosen) < 40
    for x1, y1, x2, y2 in boxes:
        # Whole pixels, so a little more than the boxes' exact area.
        inside = drawn[int(y1) + 1 : int(y2), int(x1) + 1 : int(x2)].sum()
        assert inside <= MAX_HIDDEN * (x2 - x1) * (y2 - y1) + 1e-6


def test_no_boxes_and_labels_wider_than_the_picture_get_no_place():
    assert places([], []) == []
    assert places([[10, 40, 60, 60]], [[(300, 10)]]) == [None]


def test_labels_are_whole_and_apart():
    picture = np.full((200, 200, 3), 255, np.uint8)
    middles = [(0.0, 0.0), (199.0, 199.0), (100.0, 100.0), (100.0, 101.0), (99.0, 100.0)]
    texts = ["ring 0.93"] * 4 + ["a very long class name that no picture has room for 0.93"]
    boxes = draw_labels(picture, texts, middles, [(0, 0, 255)] * 5)
    covered = np.zeros((200, 200), int)
    for x1, y1, x2, y2 in boxes:
        assert 0 <= x1 < x2 <= 200 and 0 <= y1 < y2 <= 200
        covered[y1:y2, x1:x2] += 1
        # The frame is not touched by the text, so nothing of the text is cut off.
        frame = np.ones((y2 - y1, x2 - x1), bool)
        frame[1:-1, 1:-1] = False
        assert (picture[y1:y2, x1:x2][frame] == (0, 0, 255)).all()
        assert picture[y1:y2, x1:x2][~frame].max() > 200
    assert covered.max() == 1
    assert (picture[covered == 0] == 255).all()


def test_more_labels_than_room_are_drawn_over_each_other():
    picture = np.full((24, 200, 3), 255, np.uint8)
    boxes = draw_labels(picture, ["one", "two"], [(100.0, 12.0)] * 2, [(0, 0, 255)] * 2)
    assert len(boxes) == 2
