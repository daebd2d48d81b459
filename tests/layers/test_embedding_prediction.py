import pytest
import torch

from mmdet_embedmask.functional.geometry import cell_positions
from mmdet_embedmask.layers import EMBEDDINGS, EmbeddingPrediction, part_dims


@pytest.mark.parametrize(
    "embedding, dims",
    [("both", (2, 6)), ("spatial_aware", (2, 0)), ("spatial_free", (0, 6)), ("coord_conv", (2, 6))],
)
def test_channels_of_the_parts(embedding, dims):
    assert part_dims(embedding, 8) == dims
    layer = EmbeddingPrediction(4, 8, embedding)
    assert layer(torch.zeros(2, 4, 3, 5), stride=8).shape == (2, sum(dims), 3, 5)


def test_every_embedding_has_a_test_above():
    assert EMBEDDINGS == ("both", "spatial_aware", "spatial_free", "coord_conv")


def test_coordinates_are_two_more_input_channels_in_100_pixels():
    layer, feature = EmbeddingPrediction(4, 5, "coord_conv"), torch.randn(2, 4, 3, 6)
    assert layer.conv_spatial_aware.in_channels == layer.conv_spatial_free.in_channels == 6
    coordinates = (cell_positions(feature, 16) / 100).expand(2, -1, -1, -1)
    seen = torch.cat([feature, coordinates], dim=1)
    expected = torch.cat([layer.conv_spatial_aware(seen), layer.conv_spatial_free(seen)], dim=1)
    assert torch.equal(layer(feature, stride=16), expected)
    assert layer.conv_spatial_aware.weight[:, 4:].abs().sum() > 0
    assert not torch.equal(layer(feature, stride=16), layer(feature, stride=8))


@pytest.mark.parametrize("embedding", ["both", "spatial_aware", "spatial_free"])
def test_without_coord_conv_the_stride_does_not_matter(embedding):
    layer, feature = EmbeddingPrediction(4, 5, embedding), torch.randn(1, 4, 3, 3)
    assert torch.equal(layer(feature, stride=8), layer(feature, stride=128))
