import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet_embedmask.functional.lovasz_hinge import jaccard_growth, lovasz_hinge


def plain_lovasz(logits, target):
    """Berman's algorithm 1 for one instance, prefix by prefix."""
    errors = [1 - z * (2 * t - 1) for z, t in zip(logits.tolist(), target.tolist(), strict=True)]
    order = sorted(range(len(errors)), key=lambda i: -errors[i])
    positives, wrong, loss, before = sum(target.tolist()), [0, 0], 0.0, 0.0
    for i in order:
        wrong[int(target[i])] += 1
        jaccard = 1 - (positives - wrong[1]) / (positives + wrong[0])
        loss += max(errors[i], 0.0) * (jaccard - before)
        before = jaccard
    return loss


def test_by_hand():
    # Errors 1 - z (2 t - 1): 0.5, 3, 0.5, 0. Sorted: background 3, then the target's 0.5 ...
    logits = torch.tensor([[0.5, 2.0, -0.5, 1.0]])
    targets = torch.tensor([[True, False, False, True]])
    # Jaccard loss 1 - 2/3, then 1 - 1/3 (target) or 1 - 2/4 (background), 1 - 1/4, 1.
    assert float(lovasz_hinge(logits, targets)) == pytest.approx(3 / 3 + 0.5 * (3 / 4 - 1 / 3))


def test_empty_target_is_the_largest_positive_error():
    logits = torch.tensor([[-3.0, 0.5, -0.5], [-2.0, -3.0, -1.5]])
    targets = torch.zeros(2, 3, dtype=torch.bool)
    assert lovasz_hinge(logits, targets).tolist() == [1.5, 0.0]


def test_right_beyond_the_margin_costs_nothing():
    targets = torch.tensor([[[True, False], [False, True]]])
    assert float(lovasz_hinge(torch.where(targets, 1.5, -1.5), targets)) == 0.0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=1, max_size=25))
def test_equals_the_plain_algorithm(pixels):
    logits = torch.tensor([z for z, _ in pixels], dtype=torch.float64)
    target = torch.tensor([t for _, t in pixels])
    expected = plain_lovasz(logits, target)
    assert float(lovasz_hinge(logits[None], target[None])) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=4))
def test_growth_is_non_negative_and_sums_to_one(rows):
    targets = torch.tensor(rows)
    growth = jaccard_growth(targets, targets.sum(1), torch.float64)
    assert (growth >= 0).all()
    assert growth.sum(dim=1).tolist() == pytest.approx([1.0] * len(rows))


def test_growth_keeps_its_precision_on_large_maps():
    targets = torch.rand(1, 300_000) > 0.5
    exact = jaccard_growth(targets, targets.sum(1), torch.float64)
    single = jaccard_growth(targets, targets.sum(1), torch.float32).double()
    torch.testing.assert_close(single, exact, rtol=1e-6, atol=0)


def test_instances_are_independent_and_gradients_right():
    logits = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
    targets = torch.rand(3, 2, 4) > 0.5
    alone = torch.cat(
        [lovasz_hinge(z[None], t[None]) for z, t in zip(logits, targets, strict=True)]
    )
    torch.testing.assert_close(lovasz_hinge(logits, targets), alone)
    assert torch.autograd.gradcheck(lambda z: lovasz_hinge(z, targets), logits)


def test_no_instances():
    logits = torch.zeros(0, 4, 4, requires_grad=True)
    loss = lovasz_hinge(logits, torch.zeros(0, 4, 4, dtype=torch.bool))
    assert loss.shape == (0,)
    loss.sum().backward()
    assert logits.grad.shape == (0, 4, 4)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 300), st.floats(-3, 6), st.integers(0, 2**31 - 1))
def test_300_instances_with_distances_to_1e6_stay_finite(k, exponent, seed):
    from mmdet_embedmask.functional.coupling import mask_logit

    generator = torch.Generator().manual_seed(seed)
    distance = torch.rand(k, 6, 6, generator=generator) * 10.0**exponent
    distance.requires_grad_()
    targets = torch.rand(k, 6, 6, generator=generator) > 0.7
    loss = lovasz_hinge(mask_logit(distance), targets)
    (gradient,) = torch.autograd.grad(loss.sum(), distance)
    assert loss.isfinite().all() and gradient.isfinite().all()


def sorted_whole(logits, targets):
    """The same loss with every pixel sorted."""
    errors, order = torch.where(targets, 1 - logits, 1 + logits).sort(dim=1, descending=True)
    weights = jaccard_growth(targets.gather(1, order), targets.sum(1), errors.dtype)
    return (errors.relu() * weights).sum(dim=1)


@pytest.mark.parametrize("offset", [-9.0, -2.0, 0.0, 2.0])
def test_sorting_positive_errors_alone_changes_neither_value_nor_gradient(offset):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(5, 200, generator=generator, dtype=torch.float64) * 2 + offset
    targets = torch.rand(5, 200, generator=generator) < 0.1
    targets[3] = False
    logits.requires_grad_()
    expected = sorted_whole(logits, targets)
    torch.testing.assert_close(lovasz_hinge(logits, targets), expected, rtol=1e-14, atol=0)
    actual = torch.autograd.grad(lovasz_hinge(logits, targets).sum(), logits)[0]
    torch.testing.assert_close(actual, torch.autograd.grad(expected.sum(), logits)[0])


def test_a_nan_is_not_lost():
    logits = torch.tensor([[-5.0, float("nan"), -5.0], [-5.0, -5.0, -5.0]])
    losses = lovasz_hinge(logits, torch.zeros(2, 3, dtype=torch.bool))
    assert losses[0].isnan() and losses[1] == 0
