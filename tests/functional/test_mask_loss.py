import pytest
import torch

from mmdet_embedmask.functional import mask_loss
from mmdet_embedmask.functional.coupling import coupled_logits
from mmdet_embedmask.functional.lovasz_hinge import lovasz_hinge
from mmdet_embedmask.functional.mask_loss import mask_losses


def inputs(k, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)

    def rand(*shape):
        return torch.rand(*shape, generator=generator, dtype=dtype)

    embeddings = [rand(5, 6, 8) * 3, rand(k, 5) * 3, rand(k, 5) + 0.5]
    targets = rand(4, 12, 16) > 0.7
    gt_inds = torch.randint(0, 4, (k,), generator=generator)
    return [e.requires_grad_() for e in embeddings], targets, gt_inds


@pytest.mark.parametrize("upsample", ["probability", "embedding", "aligned"])
@pytest.mark.parametrize("instances_at_once", [1, 2, 3, 7])
def test_parts_give_the_values_and_gradients_of_the_plain_formula(
    monkeypatch, upsample, instances_at_once
):
    monkeypatch.setattr(mask_loss, "MAX_LOSS_PIXELS", instances_at_once * 12 * 16 + 5)
    embeddings, targets, gt_inds = inputs(7)
    weights = torch.rand(7, dtype=torch.float64)
    losses = mask_losses(*embeddings, targets, gt_inds, upsample, lovasz_hinge)
    gradients = torch.autograd.grad((losses * weights).sum(), embeddings)
    plain = lovasz_hinge(coupled_logits(*embeddings, upsample), targets[gt_inds])
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
        mask_losses(*embeddings, targets, gt_inds, "probability", loss)
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
            losses = mask_losses(*embeddings, targets, gt_inds, "probability", lovasz_hinge)
        assert len(losses) == k
        return sum(sizes.values())

    monkeypatch.setattr(mask_loss, "MAX_LOSS_PIXELS", 4 * 12 * 16)
    assert kept(4) > 5 * 4 * 12 * 16
    assert kept(40) < kept(4)


def test_no_proposals_have_no_loss_but_a_gradient():
    embeddings, targets, gt_inds = inputs(0)
    losses = mask_losses(*embeddings, targets, gt_inds, "probability", lovasz_hinge)
    assert losses.shape == (0,)
    losses.sum().backward()
    assert all(e.grad is not None and e.grad.abs().sum() == 0 for e in embeddings)


def test_autocast_reaches_parts_that_are_computed_again(monkeypatch):
    monkeypatch.setattr(mask_loss, "MAX_LOSS_PIXELS", 2 * 12 * 16)
    gradients = []
    for enabled in (False, True):
        embeddings, targets, gt_inds = inputs(5, torch.float32)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            losses = mask_losses(*embeddings, targets, gt_inds, "probability", lovasz_hinge)
        gradients.append(torch.autograd.grad(losses.sum(), embeddings))
    for plain, autocast in zip(*gradients, strict=True):
        assert torch.equal(plain, autocast)
