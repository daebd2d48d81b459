import pytest
import torch
import torch.nn.functional as F

from mmdet_embedmask.mask_targets import mask_stride_targets, masks_at_points


def test_masks_at_points_reads_the_pixel_and_is_false_outside():
    masks = torch.zeros(2, 3, 4, dtype=torch.uint8)
    masks[0, 1, 2] = 1
    masks[1, 2, 3] = 1
    points = torch.tensor([[2.0, 1.0], [2.9, 1.9], [3.0, 2.0], [4.0, 2.0], [3.0, 3.0], [-1.0, 0.0]])
    expected = [[1, 0], [1, 0], [0, 1], [0, 0], [0, 0], [0, 0]]
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


def test_no_masks():
    assert mask_stride_targets(torch.zeros(0, 8, 8, dtype=torch.uint8)).shape == (0, 2, 2)


def test_unpadded_masks_are_refused_with_the_cure():
    with pytest.raises(ValueError, match=r"33 x 40 pixels.*pad_size_divisor=32"):
        mask_stride_targets(torch.zeros(1, 33, 40, dtype=torch.uint8))
