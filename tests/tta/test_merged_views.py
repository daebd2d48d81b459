import pytest
import torch
from torch import tensor

from mmdet_embedmask.mask_resize import probability_at_size
from mmdet_embedmask.tta.merged_views import NONE, View, mean_probability, merge_detections

SIZE = (40, 80)


def view(boxes, scores, labels=None, flip=None, probability=None):
    boxes = tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    labels = [0] * len(boxes) if labels is None else labels
    if probability is None:
        probability = torch.zeros(len(boxes), 10, 20)
    return View(boxes, tensor(scores), tensor(labels, dtype=torch.int64), probability, SIZE, flip)


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


def test_merging_orders_by_the_new_score_and_keeps_at_most_so_many():
    views = [
        view([[0, 0, 20, 20]], [0.9]),
        view([[50, 20, 70, 40]], [0.5]),
        view([[50, 20, 70, 40]], [0.5]),
    ]
    merged = merge_detections(views, SIZE, 0.5, 100)
    assert merged.members.tolist() == [[NONE, 0, 0], [0, NONE, NONE]]
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


def test_nothing_detected():
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
    mean = mean_probability(views, tensor([0, 0, NONE]), SIZE, resize)
    there = probability_at_size(second, SIZE, SIZE, resize).flip(dims)
    expected = (probability_at_size(first, SIZE, SIZE, resize) + there) / 2
    torch.testing.assert_close(mean, expected[0])


def test_views_of_other_sizes_meet_at_the_original_size():
    # Constant maps: whatever the resize, the mean is exact.
    views = [
        View(
            torch.zeros(1, 4),
            tensor([0.5]),
            tensor([0]),
            torch.full((1, 8, 16), 0.2),
            (32, 64),
            None,
        ),
        View(
            torch.zeros(1, 4),
            tensor([0.5]),
            tensor([0]),
            torch.full((1, 24, 40), 0.8),
            (96, 160),
            None,
        ),
    ]
    mean = mean_probability(views, tensor([0, 0]), SIZE, "bilinear")
    assert mean.shape == SIZE
    torch.testing.assert_close(mean, torch.full(SIZE, 0.5))
