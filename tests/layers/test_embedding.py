from typing import get_args

import pytest
import torch

from mmdet_embedmask.functional.geometry import cell_positions
from mmdet_embedmask.layers import EmbeddingPrediction, SpatialEmbedding, part_dims
from mmdet_embedmask.options import Embedding


@pytest.mark.parametrize(
    "embedding, dims",
    [("both", (2, 6)), ("spatial_aware", (2, 0)), ("spatial_free", (0, 6)), ("coord_conv", (2, 6))],
)
def test_channels_of_the_parts(embedding, dims):
    assert part_dims(embedding, 8) == dims
    layer = EmbeddingPrediction(4, 8, embedding)
    assert layer(torch.zeros(2, 4, 3, 5), stride=8).shape == (2, sum(dims), 3, 5)


def test_every_embedding_has_a_test_above():
    assert get_args(Embedding) == ("both", "spatial_aware", "spatial_free", "coord_conv")


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


def test_position_is_added_to_the_first_two_channels_alone():
    layer = SpatialEmbedding()
    with torch.no_grad():
        layer.position_scale.scale.fill_(2.0)
    offsets = torch.tensor([[0.5, -0.5, 3.0], [0.0, 0.0, 1.0]])
    positions = torch.tensor([[100.0, 50.0], [0.0, 400.0]])
    assert layer(offsets, positions).tolist() == [[2.5, 0.5, 3.0], [0.0, 8.0, 1.0]]


def test_maps_and_proposals_get_the_same_position():
    layer = SpatialEmbedding()
    maps = torch.randn(2, 4, 3, 5)
    positions = torch.rand(1, 2, 3, 5) * 1000
    at_pixel = layer(maps[:, :, 1, 4], positions[:, :, 1, 4])
    assert torch.equal(layer(maps, positions)[:, :, 1, 4], at_pixel)


def test_position_is_added_in_float32():
    # bfloat16 has steps of 8 pixels at 1333.
    positions = torch.tensor([[1331.0, 7.0], [1332.0, 7.0]])
    embedding = SpatialEmbedding()(torch.zeros(2, 3, dtype=torch.bfloat16), positions)
    assert embedding.dtype == torch.float32
    torch.testing.assert_close(embedding[:, 0], torch.tensor([13.31, 13.32]))


def test_the_scale_is_one_learnable_scalar():
    layer = SpatialEmbedding()
    layer(torch.zeros(1, 3), torch.tensor([[300.0, 100.0]])).sum().backward()
    (parameter,) = layer.parameters()
    assert parameter.item() == 1.0 and parameter.grad.item() == 4.0


def test_without_a_learnable_scale_the_position_is_in_100_pixels():
    layer = SpatialEmbedding(learnable_scale=False)
    assert not list(layer.parameters())
    assert layer(torch.zeros(1, 3), torch.tensor([[300.0, 100.0]])).tolist() == [[3.0, 1.0, 0.0]]


@pytest.mark.parametrize("embedding", ["spatial_free", "coord_conv"])
def test_embeddings_without_added_position_pass_through_in_float32(embedding):
    layer = SpatialEmbedding(embedding)
    offsets = torch.randn(2, 3, dtype=torch.bfloat16)
    embedded = layer(offsets, torch.full((2, 2), 500.0))
    assert embedded.dtype == torch.float32 and torch.equal(embedded, offsets.float())
    assert not list(layer.parameters())


def test_the_spatial_aware_part_alone_has_the_position_added():
    embedded = SpatialEmbedding("spatial_aware")(torch.ones(1, 2), torch.tensor([[50.0, 200.0]]))
    assert embedded.tolist() == [[1.5, 3.0]]
