import pytest
import torch

from mmdet_embedmask.visualization.network_maps import to_picture


def test_maps_are_cropped_to_the_image():
    ramp = torch.arange(8.0).repeat(1, 4, 1)
    maps = to_picture(ramp, 8, (32, 32), (32, 32))
    assert maps.shape == (1, 32, 32)
    assert maps[0, 0, 0] == 0 and maps.max() == pytest.approx(3.4375)
