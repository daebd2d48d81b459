import numpy as np
import pytest
import torch

from mmdet_embedmask.visualization.embedding_colors import common_colors


def test_equal_embeddings_have_equal_colours():
    pixels, proposals = torch.randn(8, 5, 6), torch.randn(3, 8)
    proposals[1] = pixels[:, 2, 4]
    pixels[:, 0, 0] = pixels[:, 4, 5]
    pixel_colors, proposal_colors = common_colors(pixels, proposals)
    assert pixel_colors.shape == (5, 6, 3) and proposal_colors.shape == (3, 3)
    assert np.array_equal(proposal_colors[1], pixel_colors[2, 4])
    assert np.array_equal(pixel_colors[0, 0], pixel_colors[4, 5])
    assert not np.array_equal(proposal_colors[0], proposal_colors[1])


def test_colours_are_the_principal_components():
    # Three independent channels, of falling variance: red, green and blue rise with them.
    steps = torch.linspace(-1, 1, 9)
    a, b, c = torch.meshgrid(4 * steps, 2 * steps, steps, indexing="ij")
    pixels = torch.stack([c, a, b]).reshape(3, 9, 81)
    colors, _ = common_colors(pixels, torch.zeros(0, 3))
    for channel, values in zip((2, 1, 0), (a, b, c), strict=True):
        expected = torch.round(255 * (values / values.max() + 1) / 2).reshape(9, 81)
        assert np.abs(colors[..., channel] - expected.numpy()).max() <= 1


def test_colours_do_not_depend_on_a_single_outlier():
    pixels = torch.randn(4, 20, 20)
    before, _ = common_colors(pixels, torch.zeros(0, 4))
    after, _ = common_colors(torch.cat([pixels, 0.5 * pixels[:, :1]], 1), torch.zeros(1, 4))
    spread = [np.percentile(colors.reshape(-1, 3), 75, axis=0) for colors in (before, after)]
    assert np.abs(spread[0] - spread[1]).max() < 40


@pytest.mark.parametrize("dim", [1, 2])
def test_fewer_than_three_channels_leave_colours_constant(dim):
    colors, _ = common_colors(torch.randn(dim, 6, 6), torch.randn(2, dim))
    assert (colors[..., : 3 - dim] == 128).all()
    assert colors[..., 2].std() > 30


def test_a_constant_embedding_is_gray():
    colors, _ = common_colors(torch.ones(4, 3, 3), torch.ones(2, 4))
    assert (colors == 128).all()
