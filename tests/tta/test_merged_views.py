import pytest
import torch
import torch.nn.functional as F
from torch import tensor

from mmdet_embedmask.functional.resize import maps_at_size
from mmdet_embedmask.tta.merged_views import NONE, View, mean_probability, merge_detections

SIZE = (40, 80)


def view(boxes, scores, labels=None, flip=None, probability=None, img_shape=SIZE):
    boxes = tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    labels = [0] * len(boxes) if labels is None else labels
    if probability is None:
        probability = torch.zeros(len(boxes), 10, 20)
    labels = tensor(labels, dtype=torch.int64)
    return View(boxes, tensor(scores), labels, probability, img_shape, flip)


def test_boxes_of_one_object_become_one_by_score_and_a_lonely_box_counts_less():
    views = [
        view([[0, 0, 20, 20], [50, 20, 70, 40]], [0.9, 0.6]),
        # Flipped in a width of 80: [4, 0, 20, 20] once more the right way round.
        view([[60, 0, 76, 20]], [0.3], flip="horizontal"),
    ]
    merged = merge_detections(views, SIZE, 0.5, 100)
    assert merged.members.tolist() == [[0, 0], [1, NONE]]
    # (0.9 * 0 + 0.3 * 4) / 1.2 = 1
    assert merged.bboxes.tolist() == [
        pytest.approx([1, 0, 20, 20], abs=1e-5),
        pytest.approx([50, 20, 70, 40], abs=1e-5),
    ]
    assert merged.scores.tolist() == pytest.approx([0.6, 0.3])


def test_the_best_box_of_a_flipped_view_of_another_size_gathers_the_others():
    views = [
        view([[0, 0, 20, 16]], [0.3]),
        # Boxes are in the original image's pixels whatever the view's size: 80 - 80 and 80 - 60.
        view([[60, 0, 80, 20]], [0.9], flip="horizontal", img_shape=(20, 40)),
    ]
    merged = merge_detections(views, SIZE, 0.5, 100)
    assert merged.members.tolist() == [[0, 0]]
    assert merged.bboxes.tolist() == [pytest.approx([0, 0, 20, 19], abs=1e-5)]


def test_boxes_that_overlap_by_the_threshold_stay_two():
    views = [view([[0, 0, 20, 20]], [0.9]), view([[0, 0, 20, 10]], [0.8])]
    assert merge_detections(views, SIZE, 0.5, 100).members.tolist() == [[0, NONE], [NONE, 0]]
    assert merge_detections(views, SIZE, 0.49, 100).members.tolist() == [[0, 0]]


def test_merging_orders_by_the_new_score_and_keeps_at_most_so_many():
    views = [
        view([[0, 0, 20, 20]], [0.9], [2]),
        view([[50, 20, 70, 40]], [0.5], [1]),
        view([[50, 20, 70, 40]], [0.5], [1]),
    ]
    merged = merge_detections(views, SIZE, 0.5, 100)
    assert merged.members.tolist() == [[NONE, 0, 0], [0, NONE, NONE]]
    assert merged.labels.tolist() == [1, 2]
    assert merged.bboxes.tolist() == [[50, 20, 70, 40], [0, 0, 20, 20]]
    assert merged.scores.tolist() == pytest.approx([1 / 3, 0.3])
    # The limit is put on boxes before they are merged, as a detector puts it.
    assert merge_detections(views, SIZE, 0.5, 1).members.tolist() == [[0, NONE, NONE]]


def test_classes_are_not_mixed():
    views = [view([[0, 0, 20, 20]], [0.9], [0]), view([[0, 0, 20, 20]], [0.8], [1])]
    merged = merge_detections(views, SIZE, 0.5, 100)
    assert merged.labels.tolist() == [0, 1]
    assert merged.members.tolist() == [[0, NONE], [NONE, 0]]


def test_a_box_without_area_is_itself():
    merged = merge_detections([view([[5, 5, 5, 9]], [0.9]), view([], [])], SIZE, 0.5, 100)
    assert merged.members.tolist() == [[0, NONE]]
    assert merged.bboxes.tolist() == [[5, 5, 5, 9]]
    assert merged.scores.tolist() == pytest.approx([0.45])


def test_views_without_detections_merge_to_none():
    merged = merge_detections([view([], []), view([], [])], SIZE, 0.5, 100)
    assert merged.bboxes.shape == (0, 4) and merged.members.shape == (0, 2)


@pytest.mark.parametrize(
    "flip, dims", [("horizontal", [2]), ("vertical", [1]), ("diagonal", [1, 2])]
)
@pytest.mark.parametrize("resize", ["bilinear", "aligned"])
def test_probabilities_are_averaged_over_the_views_that_have_seen_it(flip, dims, resize):
    # 10 x 20 cells of stride 4 cover the image; its flip at the original size is the flipped map's.
    first, second = torch.rand(1, 10, 20), torch.rand(1, 10, 20)
    views = [
        view([[0, 0, 9, 9]], [0.9], probability=first),
        view([[0, 0, 9, 9]], [0.9], probability=second, flip=flip),
        view([[0, 0, 9, 9]], [0.9], probability=torch.ones(1, 10, 20)),
    ]
    mean = mean_probability(views, [0, 0, NONE], SIZE, resize)
    there = maps_at_size(second, SIZE, SIZE, resize).flip(dims)
    expected = (maps_at_size(first, SIZE, SIZE, resize) + there) / 2
    torch.testing.assert_close(mean, expected[0])


def test_views_of_other_sizes_meet_at_the_original_size():
    # The network inputs of 20 x 40 and 60 x 120 lie in paddings of 24 x 48 and 64 x 128.
    views = [
        view([[0, 0, 9, 9]], [0.9], probability=torch.rand(1, 6, 12), img_shape=(20, 40)),
        view([[0, 0, 9, 9]], [0.9], probability=torch.rand(1, 16, 32), img_shape=(60, 120)),
    ]
    mean = mean_probability(views, [0, 0], SIZE, "bilinear")
    expected = 0
    for one, (height, width) in zip(views, [(20, 40), (60, 120)], strict=True):
        whole = F.interpolate(one.probability[None], scale_factor=4, mode="bilinear")
        inside = whole[:, :, :height, :width]
        expected += F.interpolate(inside, size=SIZE, mode="bilinear")[0, 0] / 2
    torch.testing.assert_close(mean, expected)
