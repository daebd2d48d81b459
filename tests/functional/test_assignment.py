import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet_embedmask.functional import assignment
from mmdet_embedmask.functional.assignment import (
    assign_points,
    best_proposals,
    distances_to_sides,
    draw_proposals,
)

INF = 1e8


def assign(points, bboxes, stride=8.0, regress_range=(-1.0, 64.0), **options):
    points = torch.tensor(points)
    strides = torch.full((len(points),), stride)
    ranges = torch.tensor([regress_range]).expand(len(points), 2)
    return assign_points(points, strides, ranges, torch.tensor(bboxes), **options).tolist()


def test_distances_to_sides_are_left_top_right_bottom():
    actual = distances_to_sides(
        torch.tensor([[4.0, 12.0]]), torch.tensor([[0.0, 10.0, 20.0, 40.0]])
    )
    assert actual.tolist() == [[4.0, 2.0, 16.0, 28.0]]


def test_center_square_is_cut_by_the_box_and_open_at_its_sides():
    # Centre (20, 20), 1.5 strides = 12: x from 8 to 32; the box is only 10 high: y from 15 to 25.
    box = [[0.0, 15.0, 40.0, 25.0]]
    points = [[20.0, 20.0], [32.0, 20.0], [31.0, 20.0], [20.0, 25.0], [20.0, 24.0], [4.0, 20.0]]
    assert assign(points, box) == [0, -1, 0, -1, 0, -1]


def test_without_center_sampling_the_whole_box_counts():
    box = [[0.0, 15.0, 40.0, 25.0]]
    assert assign([[4.0, 20.0], [0.0, 20.0], [20.0, 26.0]], box, center_radius=None) == [0, -1, -1]


def test_regress_range_is_inclusive():
    box = [[0.0, 0.0, 96.0, 96.0]]
    # The largest distance of (44, 44) is 52, of (48, 32) 64.
    assert assign([[44.0, 44.0]], box, stride=64.0, regress_range=(64.0, 128.0)) == [-1]
    assert assign([[48.0, 32.0]], box, stride=64.0, regress_range=(64.0, 128.0)) == [0]
    assert assign([[48.0, 32.0]], box, stride=64.0, regress_range=(-1.0, 64.0)) == [0]


def test_smallest_area_wins_and_the_mask_is_tested_before():
    boxes = [[0.0, 0.0, 40.0, 40.0], [10.0, 10.0, 30.0, 30.0]]
    assert assign([[20.0, 20.0]], boxes) == [1]
    in_mask = torch.tensor([[True, False]])
    assert assign([[20.0, 20.0]], boxes, in_mask=in_mask) == [0]
    assert assign([[20.0, 20.0]], boxes, in_mask=~in_mask & False) == [-1]


def test_areas_are_compared_and_not_the_sides():
    # 100 x 4 against 30 x 30: the smaller area has the longer sides.
    boxes = [[0.0, 10.0, 100.0, 14.0], [40.0, 0.0, 70.0, 30.0]]
    options = dict(regress_range=(-1.0, 256.0), center_radius=None)
    assert assign([[55.0, 12.0]], boxes, **options) == [0]
    assert assign([[55.0, 12.0]], boxes[::-1], **options) == [1]


def test_without_instances_all_points_are_background():
    points = torch.zeros(3, 2)
    gt_inds = assign_points(points, torch.ones(3), torch.zeros(3, 2), torch.zeros(0, 4))
    assert gt_inds.tolist() == [-1, -1, -1] and gt_inds.dtype == torch.long


def test_no_points_give_no_assignment():
    nothing = torch.zeros(0, 2), torch.zeros(0), torch.zeros(0, 2)
    assert assign_points(*nothing, torch.tensor([[0.0, 0.0, 8.0, 8.0]])).shape == (0,)


def test_best_proposals_by_hand():
    gt_inds = torch.tensor([0, -1, 2, 0, 2, 2])
    ious = torch.tensor([0.3, 0.9, 0.5, 0.7, 0.8, 0.8])
    # Instance 1 has no point; of instance 2's two best the first is taken.
    assert best_proposals(gt_inds, ious, 3).tolist() == [3, -1, 4]
    assert best_proposals(torch.tensor([-1, -1]), torch.zeros(2), 2).tolist() == [-1, -1]
    assert best_proposals(torch.tensor([-1]), torch.zeros(1), 0).tolist() == []


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 5)), max_size=40))
def test_best_proposals_equal_a_plain_loop(pairs):
    gt_inds = torch.tensor([g for g, _ in pairs], dtype=torch.long)
    ious = torch.tensor([i / 5 for _, i in pairs])
    expected = [-1] * 5
    for index, (gt, iou) in enumerate(pairs):
        if gt >= 0 and (expected[gt] < 0 or iou > pairs[expected[gt]][1]):
            expected[gt] = index
    assert best_proposals(gt_inds, ious, 5).tolist() == expected


def test_all_positive_points_are_drawn_below_the_limit():
    batch = [torch.tensor([-1, 0, 0, 1]), torch.tensor([2, -1, -1, -1])]
    assert [x.tolist() for x in draw_proposals(batch, 4)] == [[1, 2, 3], [0]]
    empty = [torch.tensor([-1, -1])] * 2
    assert [x.tolist() for x in draw_proposals(empty, 4)] == [[], []]


def test_the_limit_holds_for_the_batch_and_every_point_can_be_drawn():
    batch = [torch.tensor([-1, 0, 0, 1]), torch.tensor([2, -1, 2, -1])]
    positives = {(0, 1), (0, 2), (0, 3), (1, 0), (1, 2)}
    seen = set()
    for _ in range(50):
        drawn = {
            (image, point)
            for image, points in enumerate(draw_proposals(batch, 2))
            for point in points.tolist()
        }
        assert len(drawn) == 2 and drawn <= positives
        seen |= drawn
    assert seen == positives


def test_drawn_points_are_ascending():
    batch = [torch.zeros(200, dtype=torch.long)] * 2
    for points in draw_proposals(batch, 150):
        assert len(points) > 10 and (points.diff() > 0).all()


def test_points_are_compared_with_many_instances_some_at_a_time(monkeypatch):
    generator = torch.Generator().manual_seed(0)

    def rand(*shape):
        return torch.rand(*shape, generator=generator)

    points, low = rand(50, 2) * 100, rand(7, 2) * 80
    inputs = points, torch.full((50,), 16.0), torch.tensor([[-1.0, 64.0]]).expand(50, 2)
    options = dict(in_mask=rand(50, 7) > 0.2, centers=low + 10 * rand(7, 2))
    bboxes = torch.cat([low, low + 5 + rand(7, 2) * 40], dim=1)
    whole = assign_points(*inputs, bboxes, **options)
    assert 10 < (whole >= 0).sum() < 50
    pairs = []
    distances = assignment.distances_to_sides

    def recorded(points, boxes):
        pairs.append(len(points) * len(boxes))
        return distances(points, boxes)

    monkeypatch.setattr(assignment, "distances_to_sides", recorded)
    for max_pairs, most in ((7 * 16, 7 * 16), (7 * 17 - 1, 7 * 16), (1, 7)):
        pairs.clear()
        monkeypatch.setattr(assignment, "MAX_PAIRS", max_pairs)
        assert torch.equal(assign_points(*inputs, bboxes, **options), whole)
        assert max(pairs) == most and sum(pairs) == 350


def test_given_centres_replace_those_of_the_boxes():
    box = [[0.0, 0.0, 60.0, 60.0]]
    points = [[30.0, 30.0], [12.0, 12.0], [-2.0, 12.0]]
    assert assign(points, box) == [0, -1, -1]
    # Around (10, 10) the square reaches to -2, but the box ends at 0.
    assert assign(points, box, centers=torch.tensor([[10.0, 10.0]])) == [-1, 0, -1]


def test_a_centre_that_is_not_finite_falls_back_to_the_box():
    box = [[0.0, 0.0, 60.0, 60.0]]
    centers = torch.full((1, 2), torch.nan)
    assert assign([[30.0, 30.0], [12.0, 12.0]], box, centers=centers) == [0, -1]
