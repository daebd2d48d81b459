import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet_embedmask.functional.resize import aligned_bilinear, resize_matrix


def test_by_hand():
    # Two cells at the mask stride, a network input of 8 pixels, the original as large.
    matrix = resize_matrix(2, None, "bilinear", 8, 8)
    right = [0, 0, 1 / 8, 3 / 8, 5 / 8, 7 / 8, 1, 1]
    torch.testing.assert_close(matrix[:, 1], torch.tensor(right, dtype=torch.float64))
    aligned = resize_matrix(2, None, "aligned", 8, 8)
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
        resize_matrix(n, to_mask_stride, to_input, i, s)
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
    matrix = resize_matrix(8, None, "bilinear", 16, size)
    assert matrix[:, 5:].abs().max() == 0
