import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet_embedmask.functional.resize import aligned_bilinear


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


def test_both_directions_at_once():
    maps = torch.tensor([[[0.0, 2.0], [4.0, 6.0]]])
    expected = [[0, 0, 1, 2], [0, 0, 1, 2], [2, 2, 3, 4], [4, 4, 5, 6]]
    assert aligned_bilinear(maps, 2)[0].tolist() == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6))
def test_equals_a_plain_loop(factor, height, width):
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


def test_gradient():
    maps = torch.rand(1, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda m: aligned_bilinear(m, 4), (maps,))


@pytest.mark.parametrize("factor", [0, -2, 1.5])
def test_wrong_factors_are_refused(factor):
    with pytest.raises(ValueError, match=f"factor={factor} must be a whole number"):
        aligned_bilinear(torch.zeros(1, 2, 2), factor)
