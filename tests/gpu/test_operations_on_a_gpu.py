"""The stand-in for MMCV's compiled operations, on a GPU."""

from types import SimpleNamespace

import pytest
import torch
from mmcv.ops import RoIAlign, batched_nms, sigmoid_focal_loss
from on_both import TOLERANCE, check_equal

from mmdet_embedmask.compat import plain_nms, plain_ops
from mmdet_embedmask.compat.plain_nms import nms


def random_boxes(n=1000):
    generator = torch.Generator().manual_seed(3)
    corners = 300 * torch.rand(n, 2, generator=generator)
    boxes = torch.cat([corners, corners + 60 * torch.rand(n, 2, generator=generator)], dim=1)
    return boxes, torch.rand(n, generator=generator)


@pytest.mark.parametrize("offset", [0, 1])
def test_nms_keeps_what_it_keeps_on_the_cpu(gpu, offset):
    (kept,) = check_equal(lambda *inputs: nms(*inputs, 0.5, offset), *random_boxes())
    assert 100 < len(kept) < 900


def test_nms_of_half_precision_and_of_nothing_keeps_what_it_keeps_on_the_cpu(gpu):
    boxes, scores = random_boxes()
    check_equal(lambda b, s: nms(b.half(), s, 0.5, 0), boxes, scores)
    (kept,) = check_equal(lambda b, s: nms(b, s, 0.5, 0), boxes[:0], scores[:0])
    assert kept.shape == (0,)


def test_torchvision_keeps_boxes_of_a_gpu_where_it_has_the_same_rule(gpu, monkeypatch):
    """It knows no offset, and does not keep a tie's order on the CPU."""
    asked = []

    def torchvision_nms(boxes, scores, threshold):
        asked.append((boxes.device.type, threshold))
        return torch.arange(2, device=boxes.device)

    ops = SimpleNamespace(nms=torchvision_nms)
    monkeypatch.setattr(plain_nms, "torchvision_ops", lambda: ops)
    boxes, scores = random_boxes(20)
    assert nms(boxes.to("cuda"), scores.to("cuda"), 0.5, 0).tolist() == [0, 1]
    assert len(nms(boxes.to("cuda"), scores.to("cuda"), 0.5, 1)) > 2
    assert len(nms(boxes, scores, 0.5, 0)) > 2
    assert asked == [("cuda", 0.5)]


def test_nms_by_class_through_mmcv_keeps_what_it_keeps_on_the_cpu(gpu):
    boxes, scores = random_boxes()
    labels = torch.arange(1000) % 3
    config = dict(type="nms", iou_threshold=0.4)
    detections, kept = check_equal(
        lambda *inputs: batched_nms(*inputs, config), *random_boxes(), labels
    )
    assert 100 < len(kept) < 1000
    torch.testing.assert_close(detections[:, :4], boxes[kept])
    torch.testing.assert_close(detections[:, 4], scores[kept])


def test_the_focal_loss_and_its_gradient_through_mmcv_are_those_of_the_cpu(gpu):
    """Against the stand-in on the CPU, where compiled MMCV has no focal loss."""
    logits, target = 4 * torch.randn(50, 6), torch.arange(50) % 7
    no_weight, out, expected = torch.zeros(0), torch.empty_like(logits), []
    for function in (plain_ops.sigmoid_focal_loss_forward, plain_ops.sigmoid_focal_loss_backward):
        function(logits, target, no_weight, out, gamma=2.0, alpha=0.25)
        expected.append(out.clone())
    placed = logits.to("cuda").requires_grad_()
    loss = sigmoid_focal_loss(placed, target.to("cuda"), 2.0, 0.25, None, "none")
    loss.sum().backward()
    found = [loss.detach().cpu(), placed.grad.cpu()]
    torch.testing.assert_close(found, expected, **TOLERANCE)
    assert expected[0].max() > 1 and expected[1].abs().max() > 0.8


def test_the_focal_loss_of_half_precision_is_that_of_the_cpu(gpu):
    logits = (4 * torch.randn(50, 6)).half()

    def focal_loss(x, target):
        output = torch.zeros_like(x)
        plain_ops.sigmoid_focal_loss_forward(
            x, target, x.new_zeros(0), output, gamma=2.0, alpha=0.25
        )
        return output.float()

    # Three digits.
    (loss,) = check_equal(focal_loss, logits, torch.arange(50) % 7, rtol=1e-3, atol=1e-3)
    assert loss.max() > 1


def test_roi_align_and_its_gradient_are_those_of_the_cpu(gpu):
    if plain_ops.torchvision_ops() is None:
        pytest.skip("no torchvision here, which pools the stand-in's regions")
    features = torch.randn(2, 3, 20, 30, requires_grad=True)
    boxes, _ = random_boxes(8)
    rois = torch.cat([torch.arange(8)[:, None] % 2, boxes], dim=1)
    layer = RoIAlign(7, 1 / 16, sampling_ratio=2)
    pooled, gradient = check_equal(layer, features, rois)
    assert pooled.shape == (8, 3, 7, 7) and gradient.any()
