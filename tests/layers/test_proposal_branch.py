import math

import pytest
import torch

from mmdet_embedmask.layers import ProposalBranch


def test_initial_margin_gives_one_half_at_the_prior_distance():
    branch = ProposalBranch(8, 5, (8, 16), prior_margin=2.0)
    branch.init_weights()
    embedding, margin = branch(torch.zeros(1, 8, 4, 4), level=0)
    assert embedding.abs().max() == 0
    torch.testing.assert_close(margin, torch.full((1, 5, 4, 4), math.log(2) / 4))
    torch.testing.assert_close(torch.exp(-margin * 2.0**2), torch.full_like(margin, 0.5))
    assert branch.conv_margin.weight.std().item() == pytest.approx(0.01, rel=0.2)
    assert branch.embedding.conv_spatial_free.weight.std().item() == pytest.approx(0.01, rel=0.2)


def test_level_scale_multiplies_the_spatial_aware_log_margin_with_its_bias():
    branch = ProposalBranch(8, 5, (8, 16))
    branch.init_weights()
    with torch.no_grad():
        branch.margin_scales[1].scale.fill_(3.0)
    _, margin = branch(torch.zeros(1, 8, 2, 2), level=1)
    prior = math.log(2) / 4
    assert margin[0, :, 0, 0].tolist() == pytest.approx([prior**3] * 2 + [prior] * 3)


def test_tower_is_reduced_before_the_margin_only():
    branch = ProposalBranch(8, 5, (8,), margin_reduce_factor=32.0)
    feature = torch.randn(1, 8, 4, 4)
    embedding, margin = branch(feature, 0)
    torch.testing.assert_close(margin, branch.conv_margin(feature / 32).exp())
    torch.testing.assert_close(embedding[:, :2], branch.embedding.conv_spatial_aware(feature))
    torch.testing.assert_close(embedding[:, 2:], branch.embedding.conv_spatial_free(feature))


def test_fixed_margin_is_the_prior_everywhere_and_has_no_parameters():
    branch = ProposalBranch(8, 5, (8, 16, 32), learnable_margin=False, prior_margin=1.5)
    branch.init_weights()
    _, margin = branch(torch.randn(1, 8, 4, 4), 2)
    assert torch.equal(margin, torch.full((1, 5, 4, 4), math.log(2) / 1.5**2))
    assert not any("margin" in name for name, _ in branch.named_parameters())


def test_margin_does_not_overflow_in_half_precision():
    branch = ProposalBranch(8, 5, (8,))
    with torch.no_grad():
        branch.conv_margin.bias.fill_(12.0)  # exp(12) = 162755 > 65504
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, margin = branch(torch.zeros(1, 8, 2, 2), 0)
    assert margin.dtype == torch.float32
    torch.testing.assert_close(margin, torch.full_like(margin, math.exp(12)))


def test_1x1_convolutions_come_before_embedding_and_margin():
    branch = ProposalBranch(8, 5, (8,), reduce_channels=6, margin_reduce_factor=32.0)
    branch.init_weights()
    feature = torch.randn(1, 8, 4, 4)
    embedding, margin = branch(feature, 0)
    torch.testing.assert_close(embedding, branch.embedding(branch.reduce_embedding(feature), 8))
    reduced = branch.reduce_margin(feature / 32)
    torch.testing.assert_close(margin, branch.conv_margin(reduced).exp())
    assert branch.reduce_margin.kernel_size == (1, 1) and branch.reduce_margin.out_channels == 6
    # Kaiming uniform, a=1, for the 1x1; N(0, 0.01) for the 3x3.
    assert branch.reduce_embedding.weight.abs().max() <= (3 / 8) ** 0.5
    assert branch.reduce_embedding.weight.std() > 0.2
    assert branch.conv_margin.weight.std().item() == pytest.approx(0.01, rel=0.2)
    assert branch.conv_margin.bias.tolist() == pytest.approx([math.log(math.log(2) / 4)] * 5)


@pytest.mark.parametrize("embedding, dims", [("spatial_aware", 2), ("spatial_free", 3)])
@pytest.mark.parametrize("learnable_margin", [True, False])
def test_one_part_alone_has_its_own_margins(embedding, dims, learnable_margin):
    branch = ProposalBranch(8, 5, (8, 16), embedding=embedding, learnable_margin=learnable_margin)
    branch.init_weights()
    scaled = learnable_margin and embedding == "spatial_aware"
    if scaled:
        with torch.no_grad():
            branch.margin_scales[1].scale.fill_(3.0)
    offsets, margin = branch(torch.zeros(1, 8, 2, 2), level=1)
    assert offsets.shape == margin.shape == (1, dims, 2, 2)
    prior = math.log(2) / 4
    assert margin.flatten().tolist() == pytest.approx([prior**3 if scaled else prior] * dims * 4)


def test_coordinates_of_a_level_have_its_stride():
    branch = ProposalBranch(8, 5, (8, 16, 32), embedding="coord_conv")
    feature = torch.randn(1, 8, 4, 4)
    outputs = [branch(feature, level)[0] for level in range(3)]
    for output, stride in zip(outputs, (8, 16, 32), strict=True):
        assert torch.equal(output, branch.embedding(feature, stride))
    assert not torch.equal(outputs[0], outputs[2])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_fixed_margin_is_float32(dtype):
    branch = ProposalBranch(8, 5, (8,), learnable_margin=False).to(dtype)
    _, margin = branch(torch.zeros(1, 8, 2, 2, dtype=dtype), 0)
    assert margin.dtype == torch.float32
    assert torch.equal(margin, torch.full((1, 5, 2, 2), math.log(2) / 4))
