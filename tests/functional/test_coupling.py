import math
from contextlib import contextmanager
from typing import get_args

import pytest
import torch
from embeddings import UPSAMPLINGS
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet_embedmask.functional.coupling import (
    coupled_logits,
    coupled_probabilities,
    mask_logit,
    mask_probability,
    squared_distance,
    upsampled_mask_logit,
)
from mmdet_embedmask.functional.resize import ResizeMode, enlarge


def plain_distance(p, q, margin):
    """The formula as it is written, through a (K, D, h, w) tensor."""
    return (margin[:, :, None, None] * (p - q[:, :, None, None]) ** 2).sum(dim=1)


def random_embeddings(k=3, d=5, h=4, w=6, dtype=torch.float64):
    p, q = torch.randn(d, h, w, dtype=dtype), torch.randn(k, d, dtype=dtype)
    return p, q, torch.rand(k, d, dtype=dtype) + 0.1


def test_distance_of_a_hand_written_case():
    p = torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1)
    q = torch.tensor([[1.0, 0.0, 5.0], [1.0, 2.0, 3.0]])
    margin = torch.tensor([[7.0, 0.5, 0.25], [9.0, 9.0, 9.0]])
    # 7 * 0 + 0.5 * 4 + 0.25 * 4 = 3, and a pixel on its proposal is at distance 0.
    assert squared_distance(p, q, margin).flatten().tolist() == [3.0, 0.0]


def test_distance_and_its_gradient_equal_the_plain_formula():
    inputs = [x.requires_grad_() for x in random_embeddings()]
    weight = torch.randn(3, 4, 6, dtype=torch.float64)
    actual = squared_distance(*inputs)
    gradients = torch.autograd.grad((actual * weight).sum(), inputs)
    expected = plain_distance(*inputs)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)
    for a, b in zip(gradients, torch.autograd.grad((expected * weight).sum(), inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_a_pixel_on_a_far_proposal_is_at_no_negative_distance():
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(5, 200, 1, generator=generator) * 1000
    q = p[:, :, 0].T.contiguous()
    margin = torch.rand(200, 5, generator=generator) * 1000
    # Expanded, the squares cancel to a rounding error of either sign.
    distance = squared_distance(p, q, margin)
    assert distance.diagonal(dim1=0, dim2=1).max() < 1e-5 and distance.min() >= 0


def test_logits_have_the_right_gradient():
    inputs = [x.requires_grad_() for x in random_embeddings(k=2, d=4, h=2, w=3)]
    for how in UPSAMPLINGS:
        assert torch.autograd.gradcheck(lambda *x, how=how: coupled_logits(*x, **how), inputs)


def test_far_from_the_origin_distances_keep_their_precision():
    # A sharp margin (sigma of a pixel) at the far corner of an 800 x 1333 image: the expanded
    # square would lose this distance in rounding.
    p = torch.tensor([13.33, 8.0, 0.0]).reshape(3, 1, 1)
    q = torch.tensor([[13.35, 8.01, 0.0]])
    margin = torch.full((1, 3), 5000.0)
    exact = 5000 * (float(p[0] - q[0, 0]) ** 2 + float(p[1] - q[0, 1]) ** 2)
    assert float(squared_distance(p, q, margin)) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_distances_are_float32_under_autocast_and_for_half_inputs(dtype):
    p, q, margin = random_embeddings(dtype=torch.float32)
    expected = squared_distance(p, q, margin)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(squared_distance(p, q, margin), expected)
        half = [x.to(dtype) for x in (p, q, margin)]
        actual = squared_distance(*half)
    assert actual.dtype == torch.float32
    assert torch.equal(actual, squared_distance(*(x.float() for x in half)))


@contextmanager
def older_setting():
    torch.set_float32_matmul_precision("medium")
    try:
        yield lambda: torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


@contextmanager
def newer_setting():
    matmul = torch.backends.cuda.matmul
    if not hasattr(matmul, "fp32_precision"):
        pytest.skip("torch before 2.9 has no fp32_precision")
    before, matmul.fp32_precision = matmul.fp32_precision, "tf32"
    try:
        yield lambda: matmul.fp32_precision == "tf32"
    finally:
        matmul.fp32_precision = before


@pytest.mark.parametrize("setting", [older_setting, newer_setting])
def test_the_users_matmul_precision_neither_matters_nor_changes(setting):
    inputs = random_embeddings(d=16, dtype=torch.float32)
    expected = squared_distance(*inputs)
    with setting() as unchanged:
        assert torch.equal(squared_distance(*inputs), expected)
        assert unchanged()


def test_the_matrix_product_is_one_of_float64(monkeypatch):
    seen = []
    addmm = torch.addmm

    def recorder(*args):
        seen.append({arg.dtype for arg in args})
        return addmm(*args)

    monkeypatch.setattr(torch, "addmm", recorder)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        squared_distance(*random_embeddings(dtype=torch.float32))
    assert seen == [{torch.float64}]


def test_distances_far_from_the_origin_are_exact_to_float32():
    p, q, margin = random_embeddings(d=16, dtype=torch.float32)
    p, q, margin = p + 40, q + 40, margin * 100
    exact = (
        margin.double()[..., None, None] * (p.double() - q.double()[..., None, None]) ** 2
    ).sum(1)
    torch.testing.assert_close(squared_distance(p, q, margin).double(), exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("distance, probability", [(0.0, 1.0), (math.log(2), 0.5), (200.0, 0.0)])
def test_probability_is_exp_of_minus_the_distance(distance, probability):
    actual = mask_probability(torch.tensor([[[distance]]]))
    assert float(actual) == pytest.approx(probability, abs=1e-7)


def test_logit_equals_the_logit_of_the_probability_in_float64():
    distance = torch.logspace(-5, 2, 200, dtype=torch.float64)[None, None]
    expected = torch.exp(-distance).logit()
    torch.testing.assert_close(mask_logit(distance), expected, rtol=1e-9, atol=0)


def test_far_pixels_keep_their_gradient_and_near_ones_are_clamped():
    distance = torch.tensor([1e6, 50.0, 1e-8, 0.0], requires_grad=True)
    logit = mask_logit(distance)
    assert logit[:2].tolist() == [-1e6, -50.0]
    # -1e-6 - log(1 - exp(-1e-6)) = 13.815510
    assert logit[2:].tolist() == pytest.approx([13.81551, 13.81551], rel=1e-6)
    logit.sum().backward()
    assert distance.grad.tolist() == [-1.0, -1.0, 0.0, 0.0]


@settings(max_examples=200, deadline=None)
@given(
    exponents=st.lists(st.floats(-12, 6), min_size=1, max_size=30),
    zeros=st.integers(0, 2),
    upsampled=st.booleans(),
)
def test_no_nan_or_infinity_from_0_to_1e6(exponents, zeros, upsampled):
    values = [10.0**e for e in exponents] + [0.0] * zeros
    distance = torch.tensor(values).reshape(1, 1, -1).requires_grad_()
    logit = (upsampled_mask_logit if upsampled else mask_logit)(distance)
    (gradient,) = torch.autograd.grad(logit.sum(), distance)
    assert logit.isfinite().all() and gradient.isfinite().all()


def test_upsampled_logit_equals_the_logit_of_the_upsampled_probability():
    distance = torch.rand(2, 5, 7, dtype=torch.float64) * 20 + 0.01
    expected = enlarge(torch.exp(-distance), 2, "bilinear").logit()
    torch.testing.assert_close(upsampled_mask_logit(distance), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mode", get_args(ResizeMode))
def test_upsampled_logit_of_near_pixels_is_exact_in_float32(mode):
    distance = torch.logspace(-6, -3, 64).reshape(1, 8, 8)
    exact = upsampled_mask_logit(distance.double(), mode)
    # 1 - exp(-d) has two or three digits left here in float32.
    actual = upsampled_mask_logit(distance, mode).double()
    torch.testing.assert_close(actual, exact, rtol=1e-6, atol=0)


def test_upsampled_logit_of_a_hand_written_case():
    # P = [0.8, 0.4] becomes [0.8, 0.7, 0.5, 0.4] bilinearly, with the border replicated.
    distance = -torch.tensor([0.8, 0.4], dtype=torch.float64).log().reshape(1, 1, 2)
    probability = upsampled_mask_logit(distance)[0, 0].sigmoid()
    assert probability.tolist() == pytest.approx([0.8, 0.7, 0.5, 0.4], rel=1e-12)


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_logits_and_probabilities_agree(upsampling):
    inputs = random_embeddings()
    logits = coupled_logits(*inputs, **upsampling)
    assert logits.shape == (3, 8, 12)
    torch.testing.assert_close(
        logits.sigmoid(), coupled_probabilities(*inputs, **upsampling), rtol=0, atol=1e-6
    )


def test_the_two_ways_of_upsampling_differ():
    inputs = random_embeddings()
    a, b = (coupled_probabilities(*inputs, upsample=u) for u in ("probability", "embedding"))
    assert (a - b).abs().max() > 0.01


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_no_proposals_give_no_maps_but_zero_gradients(upsampling):
    inputs = [x.requires_grad_() for x in random_embeddings(k=0)]
    logits = coupled_logits(*inputs, **upsampling)
    assert logits.shape == (0, 8, 12)
    for gradient in torch.autograd.grad(logits.sum(), inputs):
        assert torch.equal(gradient, torch.zeros_like(gradient))


def test_aligned_logit_equals_the_logit_of_the_aligned_probability():
    distance = torch.rand(3, 4, 5, dtype=torch.float64) * 8 + 0.01
    probability = enlarge(torch.exp(-distance), 2, "aligned")
    torch.testing.assert_close(
        upsampled_mask_logit(distance, "aligned"), torch.logit(probability), rtol=1e-9, atol=1e-9
    )


def test_aligned_probabilities_are_those_of_the_pixels_at_every_second_cell():
    p, q, margin = random_embeddings()
    probability = mask_probability(squared_distance(p, q, margin))
    aligned = coupled_probabilities(p, q, margin, upsample_mode="aligned")
    assert torch.equal(aligned[:, 1::2, 1::2], probability)


@pytest.mark.parametrize("channels", [slice(0, 2), slice(2, 5)], ids=["aware", "free"])
def test_one_part_of_the_embedding_alone(channels):
    p, q, margin = random_embeddings()
    p, q, margin = p[channels], q[:, channels], margin[:, channels]
    torch.testing.assert_close(squared_distance(p, q, margin), plain_distance(p, q, margin))
