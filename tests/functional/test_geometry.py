import pytest
import torch

from mmdet_embedmask.functional.geometry import cell_positions


def test_positions_are_cell_centres():
    positions = cell_positions(torch.zeros(2, 7, 2, 3), stride=8)
    assert positions.shape == (1, 2, 2, 3)
    assert positions[0, 0].tolist() == [[4.0, 12.0, 20.0]] * 2
    assert positions[0, 1].tolist() == [[4.0] * 3, [12.0] * 3]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_positions_of_half_precision_maps_are_whole(dtype):
    positions = cell_positions(torch.zeros(1, 1, 2, 400, dtype=dtype), stride=8)
    # bfloat16 has steps of 16 pixels there.
    assert positions.dtype == torch.float32 and positions[0, 0, 0, -1] == 399 * 8 + 4
