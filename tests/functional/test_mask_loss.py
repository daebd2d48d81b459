import pytest
import torch
from embeddings import UPSAMPLINGS
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet_embedmask.functional import mask_loss
from mmdet_embedmask.functional.coupling import coupled_logits
from mmdet_embedmask.functional.mask_loss import jaccard_growth, lovasz_hinge, mask_losses


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


def test_the_hinge_of_four_pixels_by_hand():
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
def test_the_hinge_equals_the_plain_algorithm(pixels):
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


def test_no_instances_have_no_hinge_but_a_gradient():
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


def inputs(k, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)

    def rand(*shape):
        return torch.rand(*shape, generator=generator, dtype=dtype)

    embeddings = [rand(5, 6, 8) * 3, rand(k, 5) * 3, rand(k, 5) + 0.5]
    targets = rand(4, 12, 16) > 0.7
    gt_inds = torch.randint(0, 4, (k,), generator=generator)
    return [e.requires_grad_() for e in embeddings], targets, gt_inds


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("instances_at_once", [1, 2, 3, 7])
def test_parts_give_the_values_and_gradients_of_the_plain_formula(
    monkeypatch, upsampling, instances_at_once
):
    monkeypatch.setattr(mask_loss, "MAX_LOSS_PIXELS", instances_at_once * 12 * 16 + 5)
    embeddings, targets, gt_inds = inputs(7)
    weights = torch.rand(7, dtype=torch.float64)
    losses = mask_losses(*embeddings, targets=targets, gt_inds=gt_inds, **upsampling)
    gradients = torch.autograd.grad((losses * weights).sum(), embeddings)
    plain = lovasz_hinge(coupled_logits(*embeddings, **upsampling), targets[gt_inds])
    expected = torch.autograd.grad((plain * weights).sum(), embeddings)
    torch.testing.assert_close(losses, plain, rtol=1e-12, atol=0)
    for actual, value in zip(gradients, expected, strict=True):
        assert value.abs().max() > 0
        torch.testing.assert_close(actual, value, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    "max_pixels, parts", [(3 * 12 * 16, [3, 3, 1]), (3 * 12 * 16 - 1, [2, 2, 2, 1]), (1, [1] * 7)]
)
def test_a_part_has_as_many_proposals_as_fit(monkeypatch, max_pixels, parts):
    monkeypatch.setattr(mask_loss, "MAX_LOSS_PIXELS", max_pixels)
    embeddings, targets, gt_inds = inputs(7)
    seen = []

    def loss(logits, target):
        seen.append(len(logits))
        return lovasz_hinge(logits, target)

    with torch.no_grad():
        mask_losses(*embeddings, targets=targets, gt_inds=gt_inds, loss=loss)
    assert seen == parts


def test_nothing_of_a_part_is_kept_for_the_way_back(monkeypatch):
    def kept(k):
        """Numbers that autograd holds after the forward pass."""
        embeddings, targets, gt_inds = inputs(k)
        sizes = {}

        def pack(tensor):
            sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            losses = mask_losses(*embeddings, targets=targets, gt_inds=gt_inds)
        assert len(losses) == k
        return sum(sizes.values())

    monkeypatch.setattr(mask_loss, "MAX_LOSS_PIXELS", 4 * 12 * 16)
    assert kept(4) > 5 * 4 * 12 * 16
    assert kept(40) < kept(4)


def test_no_proposals_have_no_loss_but_a_gradient():
    embeddings, targets, gt_inds = inputs(0)
    losses = mask_losses(*embeddings, targets=targets, gt_inds=gt_inds)
    assert losses.shape == (0,)
    losses.sum().backward()
    assert all(e.grad is not None and e.grad.abs().sum() == 0 for e in embeddings)


def test_autocast_reaches_parts_that_are_computed_again(monkeypatch):
    monkeypatch.setattr(mask_loss, "MAX_LOSS_PIXELS", 2 * 12 * 16)
    gradients = []
    for enabled in (False, True):
        embeddings, targets, gt_inds = inputs(5, torch.float32)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            losses = mask_losses(*embeddings, targets=targets, gt_inds=gt_inds)
        gradients.append(torch.autograd.grad(losses.sum(), embeddings))
    for plain, autocast in zip(*gradients, strict=True):
        assert torch.equal(plain, autocast)
