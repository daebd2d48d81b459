import pytest
import torch
import torch.nn.functional as F

from mmdet_embedmask.functional.mask_targets import (
    mask_centroids,
    mask_stride_targets,
    masks_at_points,
    semantic_targets,
)


def test_masks_at_points_reads_the_pixel_and_is_false_outside():
    masks = torch.zeros(2, 3, 4, dtype=torch.uint8)
    masks[0, 1, 2] = 1
    masks[1, 2, 3] = 1
    masks[1, 0, :] = masks[1, :, 0] = 1  # the edges that points outside lie beside
    inside = [[2.0, 1.0], [2.9, 1.9], [3.0, 2.0]]
    outside = [[4.0, 2.0], [3.0, 3.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]
    points = torch.tensor(inside + outside)
    expected = [[1, 0], [1, 0], [0, 1]] + [[0, 0]] * 5
    assert masks_at_points(masks, points).int().tolist() == expected


def test_one_pixel_sets_its_cell_only_from_the_four_middle_pixels():
    for y in range(4):
        for x in range(8):
            masks = torch.zeros(1, 4, 8, dtype=torch.bool)
            masks[0, y, x] = True
            expected = torch.zeros(1, 1, 2, dtype=torch.bool)
            expected[0, 0, x // 4] = y % 4 in (1, 2) and x % 4 in (1, 2)
            assert torch.equal(mask_stride_targets(masks), expected)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool])
def test_targets_equal_bilinear_resize_above_zero(dtype):
    masks = (torch.rand(5, 32, 64) > 0.8).to(dtype)
    resized = F.interpolate(masks[None].float(), scale_factor=0.25, mode="bilinear")[0]
    assert torch.equal(mask_stride_targets(masks), resized > 0)


def test_no_masks_give_no_targets():
    assert mask_stride_targets(torch.zeros(0, 8, 8, dtype=torch.uint8)).shape == (0, 2, 2)


def test_unpadded_masks_are_refused_with_the_cure():
    with pytest.raises(ValueError, match=r"33 x 40 pixels.*pad_size_divisor=32"):
        mask_stride_targets(torch.zeros(1, 33, 40, dtype=torch.uint8))


def test_point_targets_read_the_pixel_at_2_of_each_cell():
    for y in range(4):
        for x in range(8):
            masks = torch.zeros(1, 4, 8, dtype=torch.bool)
            masks[0, y, x] = True
            expected = torch.zeros(1, 1, 2, dtype=torch.bool)
            expected[0, 0, x // 4] = y == 2 and x % 4 == 2
            assert torch.equal(mask_stride_targets(masks, "point"), expected)


def test_a_cell_has_the_class_of_the_smallest_instance_on_it():
    masks = torch.zeros(3, 16, 24, dtype=torch.uint8)
    masks[0, :, :16] = 1  # large, class 4: the left four of six cells
    masks[1, :8, 8:24] = 1  # smaller, class 1: covers the middle of the upper row and its right
    masks[2, 12, 4] = 1  # one pixel, class 0: the middle of the lower left cell
    labels = torch.tensor([4, 1, 0])
    assert semantic_targets(masks, labels, num_classes=5).tolist() == [[4, 1, 1], [0, 4, 5]]


def test_of_two_instances_of_equal_area_the_first_is_the_target():
    masks = torch.ones(2, 8, 8, dtype=torch.bool)
    assert semantic_targets(masks, torch.tensor([3, 2]), 5).tolist() == [[3]]


def test_without_instances_everything_is_background():
    masks, labels = torch.zeros(0, 16, 8, dtype=torch.uint8), torch.zeros(0, dtype=torch.long)
    assert semantic_targets(masks, labels, 7).tolist() == [[7], [7]]


def test_centroids_are_means_of_pixel_indices():
    masks = torch.zeros(3, 6, 8, dtype=torch.uint8)
    masks[0, 1:3, 2:6] = 1  # columns 2 to 5, rows 1 and 2
    masks[1, 0, 0] = masks[1, 0, 1] = masks[1, 3, 0] = 1
    centroids = mask_centroids(masks)
    assert centroids[:2].tolist() == [[3.5, 1.5], pytest.approx([1 / 3, 3 / 3])]
    assert centroids[2].isnan().all()


def test_large_masks_do_not_overflow_the_counts():
    masks = torch.zeros(1, 301, 400, dtype=torch.uint8)
    masks[0, 0] = 1  # 400 pixels in row 0, one in each of 300 rows: no count fits a byte
    masks[0, :, 0] = 1
    columns, rows = sum(range(400)), sum(range(301))
    assert mask_centroids(masks).tolist() == [pytest.approx([columns / 700, rows / 700])]


def test_centroids_and_semantic_targets_can_be_compiled():
    masks = torch.zeros(2, 16, 24, dtype=torch.uint8)
    masks[0, 2:9, 3:20], masks[1, 8:, 10:13] = 1, 1
    labels = torch.tensor([1, 0])
    for function in (mask_centroids, lambda m: semantic_targets(m, labels, 2)):
        compiled = torch.compile(function, backend="eager")
        assert torch.equal(compiled(masks), function(masks))
