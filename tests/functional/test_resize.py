import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet_embedmask.functional.resize import aligned_bilinear, maps_at_size, resize_matrix


def test_one_row_by_two_by_hand():
    # Output o reads max(o - 1, 0) / 2: positions 0, 0, 0.5, 1, 1.5, 2.
    maps = torch.tensor([[[0.0, 10.0, 40.0]]])
    expected = [0.0, 0.0, 5.0, 10.0, 25.0, 40.0]
    assert aligned_bilinear(maps, 2).tolist() == [[expected, expected]]


def test_one_column_by_four_by_hand():
    # Output o reads max(o - 2, 0) / 4; beyond the last input the border is replicated.
    maps = torch.tensor([[[0.0], [4.0]]])
    column = aligned_bilinear(maps, 4)[0, :, 0].tolist()
    assert column == [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 4.0]


def test_aligned_bilinear_enlarges_both_directions_at_once():
    maps = torch.tensor([[[0.0, 2.0], [4.0, 6.0]]])
    expected = [[0, 0, 1, 2], [0, 0, 1, 2], [2, 2, 3, 4], [4, 4, 5, 6]]
    assert aligned_bilinear(maps, 2)[0].tolist() == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6))
def test_aligned_bilinear_equals_a_plain_loop(factor, height, width):
    maps = torch.rand(2, height, width, dtype=torch.float64)
    result = aligned_bilinear(maps, factor)

    def value(image, y, x):
        y, x = max(y - factor // 2, 0) / factor, max(x - factor // 2, 0) / factor
        y0, x0 = int(y), int(x)
        y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
        top = image[y0, x0] * (1 - (x - x0)) + image[y0, x1] * (x - x0)
        bottom = image[y1, x0] * (1 - (x - x0)) + image[y1, x1] * (x - x0)
        return float(top * (1 - (y - y0)) + bottom * (y - y0))

    for n in range(2):
        for y in range(factor * height):
            for x in range(factor * width):
                assert result[n, y, x].item() == pytest.approx(value(maps[n], y, x), abs=1e-12)


def test_aligned_bilinear_has_the_right_gradient():
    maps = torch.rand(1, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda m: aligned_bilinear(m, 4), (maps,))


@pytest.mark.parametrize("factor", [0, -2, 1.5])
def test_wrong_factors_are_refused(factor):
    with pytest.raises(ValueError, match=f"factor={factor} must be a whole number"):
        aligned_bilinear(torch.zeros(1, 2, 2), factor)


def test_the_matrix_of_two_cells_by_hand():
    # Two cells at the mask stride, a network input of 8 pixels, the original as large.
    matrix = resize_matrix(2, None, "bilinear", inside=8, size=8)
    right = [0, 0, 1 / 8, 3 / 8, 5 / 8, 7 / 8, 1, 1]
    torch.testing.assert_close(matrix[:, 1], torch.tensor(right, dtype=torch.float64))
    aligned = resize_matrix(2, None, "aligned", inside=8, size=8)
    right = [0, 0, 0, 1 / 4, 2 / 4, 3 / 4, 1, 1]
    torch.testing.assert_close(aligned[:, 1], torch.tensor(right, dtype=torch.float64))


def resized(maps, to_mask_stride, to_input, inside, size):
    """The same resizes one after the other."""
    for factor, resize in ((2, to_mask_stride), (4, to_input)):
        if resize == "aligned":
            maps = aligned_bilinear(maps, factor)
        elif resize == "bilinear":
            maps = F.interpolate(maps[None], scale_factor=factor, mode="bilinear")[0]
    return F.interpolate(maps[:, : inside[0], : inside[1]][None], size=size, mode="bilinear")[0]


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    to_mask_stride=st.sampled_from([None, "bilinear", "aligned"]),
    to_input=st.sampled_from(["bilinear", "aligned"]),
)
def test_the_product_is_all_resizes_in_a_row(data, to_mask_stride, to_input):
    cells = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    stride = 4 if to_mask_stride is None else 8
    inside = tuple(data.draw(st.integers(1, stride * n)) for n in cells)
    size = data.draw(st.tuples(st.integers(1, 150), st.integers(1, 150)))
    rows, columns = (
        resize_matrix(n, to_mask_stride, to_input, inside=i, size=s)
        for n, i, s in zip(cells, inside, size, strict=True)
    )
    maps = torch.rand(2, *cells, dtype=torch.float64)
    expected = resized(maps, to_mask_stride, to_input, inside, size)
    torch.testing.assert_close(rows @ maps @ columns.T, expected)
    assert rows.min() >= 0
    torch.testing.assert_close(rows.sum(1), torch.ones(size[0], dtype=torch.float64))


@pytest.mark.parametrize("size", [1, 7, 64])
def test_cells_of_the_padding_have_no_weight(size):
    # 8 cells at the mask stride; pixel 15 is the last inside and reads cells 3 and 4.
    matrix = resize_matrix(8, None, "bilinear", inside=16, size=size)
    assert matrix[:, 5:].abs().max() == 0


def test_maps_are_cropped_to_the_image():
    ramp = torch.arange(8.0).repeat(1, 4, 1)
    maps = maps_at_size(ramp, (32, 32), (32, 32), stride=8)
    assert maps.shape == (1, 32, 32)
    assert maps[0, 0, 0] == 0 and maps.max() == pytest.approx(3.4375)
