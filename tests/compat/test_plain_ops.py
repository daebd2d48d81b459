"""The focal loss and RoIAlign without compiled code."""

import sys
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from mmcv.ops.roi_align import ext_module
from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss
from torch import Tensor

from mmdet_embedmask.compat import plain_ops
from mmdet_embedmask.compat.mmcv_ops import STAND_IN_ORIGIN, install_mmcv_ops
from mmdet_embedmask.compat.plain_ops import (
    roi_align_backward,
    roi_align_forward,
    sigmoid_focal_loss_backward,
    sigmoid_focal_loss_forward,
)

NO_WEIGHT = torch.empty(0)


def focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0, alpha: float = 0.25) -> Tensor:
    loss = torch.full_like(logits, 7)  # what was there is overwritten
    sigmoid_focal_loss_forward(logits, target, NO_WEIGHT, loss, gamma=gamma, alpha=alpha)
    return loss


def focal_gradient(
    logits: Tensor, target: Tensor, gamma: float = 2.0, alpha: float = 0.25
) -> Tensor:
    gradient = torch.full_like(logits, 7)
    sigmoid_focal_loss_backward(logits, target, NO_WEIGHT, gradient, gamma=gamma, alpha=alpha)
    return gradient


def test_the_focal_loss_at_even_odds():
    loss = focal_loss(torch.zeros(2, 2), torch.tensor([1, 2]))
    log2 = 0.6931472
    # p = 1/2: (1/2)^2 log 2, weighted by 1/4 for the class itself and 3/4 for the others.
    expected = torch.tensor([[0.75, 0.25], [0.75, 0.75]]) * log2 / 4
    torch.testing.assert_close(loss, expected)


# In float32 the kernel's 1 - p has few digits left where p is near 1: hence the looser bound there.
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-9), (torch.float32, 1e-3)])
@pytest.mark.parametrize("gamma, alpha", [(2.0, 0.25), (1.5, 0.5), (0.0, 0.25)])
def test_the_focal_loss_and_its_gradient_are_those_of_mmdetection_in_python(
    gamma, alpha, dtype, tolerance
):
    torch.manual_seed(0)
    logits = (torch.randn(40, 5, dtype=dtype) * 4).requires_grad_()
    target = torch.randint(0, 6, (40,))  # 5 is background
    one_hot = F.one_hot(target, 6)[:, :5]
    expected = py_sigmoid_focal_loss(logits, one_hot, gamma=gamma, alpha=alpha, reduction="none")
    (expected_gradient,) = torch.autograd.grad(expected.sum(), logits)

    close = {"rtol": tolerance, "atol": 1e-6 if dtype == torch.float32 else 1e-12}
    logits = logits.detach()
    torch.testing.assert_close(focal_loss(logits, target, gamma, alpha), expected.detach(), **close)
    gradient = focal_gradient(logits, target, gamma, alpha)
    torch.testing.assert_close(gradient, expected_gradient, **close)


def test_the_focal_loss_stays_finite_at_any_logit():
    logits = torch.tensor([[-1e4, -200.0, 200.0, 1e4]]).T.repeat(1, 2)
    target = torch.zeros(4, dtype=torch.long)
    assert focal_loss(logits, target).isfinite().all()
    assert focal_gradient(logits, target).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_focal_loss_of_short_types_is_computed_in_float32(dtype):
    logits = torch.tensor([[-9.0, 9.0]], dtype=dtype)
    target = torch.tensor([0])
    loss = focal_loss(logits, target)
    assert loss.dtype == dtype
    assert torch.equal(loss, focal_loss(logits.float(), target).to(dtype))


def test_no_boxes_have_no_focal_loss():
    assert focal_loss(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)).shape == (0, 3)


@pytest.mark.parametrize("function", [sigmoid_focal_loss_forward, sigmoid_focal_loss_backward])
def test_class_weights_need_compiled_mmcv(function):
    logits, target = torch.zeros(1, 2), torch.zeros(1, dtype=torch.long)
    with pytest.raises(NotImplementedError, match="class weights.*mim install mmcv==2.1.0"):
        function(logits, target, torch.ones(2), torch.zeros(1, 2), gamma=2.0, alpha=0.25)


def roi_align_in_torch(
    features: Tensor, rois: Tensor, size, scale: float, sampling: int, aligned: bool
) -> Tensor:
    """What torchvision.ops.roi_align computes, one region and one sample at a time."""
    if features.dtype == torch.bfloat16:
        raise NotImplementedError("roi_align_forward_kernel not implemented for 'BFloat16'")
    if rois.dtype != features.dtype:
        raise RuntimeError("Expected tensor for argument #1 'input' to have the same type")
    return torch.stack([_pool(features, roi, size, scale, sampling, aligned) for roi in rois])


def _pool(features: Tensor, roi: Tensor, size, scale, sampling, aligned) -> Tensor:
    image = features[int(roi[0])]
    x1, y1, x2, y2 = (roi[1:].double() * scale - (0.5 if aligned else 0.0)).tolist()
    width, height = x2 - x1, y2 - y1
    if not aligned:
        width, height = max(width, 1.0), max(height, 1.0)
    bin_height, bin_width = height / size[0], width / size[1]
    rows = sampling if sampling > 0 else -int(-bin_height // 1)
    columns = sampling if sampling > 0 else -int(-bin_width // 1)
    pooled = []
    for i in range(size[0]):
        for j in range(size[1]):
            samples = [
                _bilinear(
                    image,
                    y1 + (i + (a + 0.5) / rows) * bin_height,
                    x1 + (j + (b + 0.5) / columns) * bin_width,
                )
                for a in range(rows)
                for b in range(columns)
            ]
            pooled.append(torch.stack(samples).mean(0))
    return torch.stack(pooled, -1).view(-1, *size)


def _bilinear(image: Tensor, y: float, x: float) -> Tensor:
    height, width = image.shape[-2:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return image[:, 0, 0] * 0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    dy, dx = y - top, x - left
    upper = image[:, top, left] * (1 - dx) + image[:, top, right] * dx
    lower = image[:, bottom, left] * (1 - dx) + image[:, bottom, right] * dx
    return upper * (1 - dy) + lower * dy


@pytest.fixture
def fake_torchvision(monkeypatch):
    ops = ModuleType("torchvision.ops")
    ops.roi_align = roi_align_in_torch
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.ops", ops)


@pytest.fixture
def no_torchvision(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.ops", None)


HOW = {
    "aligned_height": 2,
    "aligned_width": 3,
    "spatial_scale": 0.5,
    "sampling_ratio": 2,
    "pool_mode": 1,
    "aligned": True,
}
ROIS = torch.tensor([[0.0, 1, 2, 11, 9], [1, -3, 0, 6, 20], [1, 4, 4, 5, 5]])


def pooled(features: Tensor, rois: Tensor, **how) -> Tensor:
    size = (len(rois), features.size(1), how["aligned_height"], how["aligned_width"])
    output = torch.full(size, 7.0, dtype=features.dtype)
    empty = features.new_zeros(0)
    roi_align_forward(features, rois, output, empty, empty, **how)
    return output


def test_roi_align_of_a_ramp_is_the_middle_of_each_bin(fake_torchvision):
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    output = pooled(ramp, torch.tensor([[0.0, 2, 2, 14, 10]]), **HOW)
    # On the map the region reaches from 1 to 7 less half a pixel: bins of 2 about 1.5, 3.5, 5.5.
    torch.testing.assert_close(output[0, 0], torch.tensor([[1.5, 3.5, 5.5]] * 2))


@pytest.mark.parametrize(
    "aligned, sampling, expected",
    [
        (True, 1, [4.0, 25.0]),  # at 2 and 5
        (True, 2, [(1.75 + 7.75) / 2, (18.25 + 33.25) / 2]),  # at 1.25, 2.75; 4.25, 5.75
        (True, 0, [(1 + 4 + 9) / 3, (16 + 25 + 36) / 3]),  # one sample a cell: at 1, 2, 3; 4, 5, 6
        (False, 1, [(4 + 9) / 2, (25 + 36) / 2]),  # at 2.5 and 5.5
    ],
)
def test_roi_align_of_squares_by_its_sampling_and_alignment(
    fake_torchvision, aligned, sampling, expected
):
    """Two bins of three cells, on the map from 1 to 7, less half a pixel if aligned."""
    squares = torch.arange(8.0).square().expand(1, 1, 8, 8)
    how = HOW | {"aligned_width": 2, "aligned": aligned, "sampling_ratio": sampling}
    output = pooled(squares, torch.tensor([[0.0, 2, 2, 14, 10]]), **how)
    torch.testing.assert_close(output[0, 0], torch.tensor([expected] * 2))


def test_roi_align_backward_adds_the_adjoint_of_the_forward(fake_torchvision):
    torch.manual_seed(0)
    features = torch.randn(2, 3, 7, 8)
    grad_output = torch.randn(3, 3, 2, 3)
    grad_input = torch.full_like(features, 5)
    empty = torch.zeros(0)
    with torch.no_grad():  # as autograd calls it
        roi_align_backward(grad_output, ROIS, empty, empty, grad_input, **HOW)

    expected = (pooled(features, ROIS, **HOW) * grad_output).sum()
    torch.testing.assert_close((features * (grad_input - 5)).sum(), expected)
    assert not grad_input.requires_grad


def test_roi_align_takes_rois_of_another_type(fake_torchvision):
    assert pooled(torch.ones(2, 1, 8, 8).double(), ROIS, **HOW).dtype == torch.float64


def test_roi_align_of_bfloat16_is_computed_in_float32(fake_torchvision):
    features = torch.randn(2, 1, 8, 8).bfloat16()
    output = pooled(features, ROIS, **HOW)
    assert torch.equal(output, pooled(features.float(), ROIS, **HOW).bfloat16())
    empty, wide, narrow = torch.zeros(0), torch.zeros(2, 1, 8, 8), torch.zeros_like(features)
    roi_align_backward(output.float(), ROIS, empty, empty, wide, **HOW)
    roi_align_backward(output, ROIS, empty, empty, narrow, **HOW)
    assert torch.equal(narrow, wide.bfloat16()) and narrow.any()


def test_roi_align_without_torchvision_says_what_to_install(no_torchvision):
    with pytest.raises(NotImplementedError, match="pip install torchvision.*mmcv==2.1.0"):
        pooled(torch.zeros(2, 1, 8, 8), ROIS, **HOW)


def test_max_pooling_needs_compiled_mmcv(fake_torchvision):
    with pytest.raises(NotImplementedError, match="maximum needs compiled MMCV"):
        pooled(torch.zeros(2, 1, 8, 8), ROIS, **HOW | {"pool_mode": 0})


@pytest.mark.parametrize("error", [ImportError, OSError, RuntimeError])
def test_a_torchvision_that_does_not_fit_counts_as_none(error, monkeypatch):
    def fail(name: str) -> None:
        raise error("operator torchvision::nms does not exist")

    monkeypatch.setattr(plain_ops.importlib, "import_module", fail)
    assert plain_ops.torchvision_ops() is None


@pytest.fixture
def compiled():
    """The extension module of compiled MMCV."""
    if install_mmcv_ops():
        pytest.skip(f"no compiled MMCV here: mmcv._ext is the {STAND_IN_ORIGIN}")
    return ext_module


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling", [0, 1, 2])
def test_compiled_roi_align_gives_the_same(fake_torchvision, compiled, aligned, sampling):
    torch.manual_seed(0)
    features, empty = torch.randn(2, 3, 7, 8), torch.zeros(0)
    how = HOW | {"aligned": aligned, "sampling_ratio": sampling}
    expected = torch.zeros(3, 3, 2, 3)
    compiled.roi_align_forward(features, ROIS, expected, empty, empty, **how)
    torch.testing.assert_close(pooled(features, ROIS, **how), expected)

    grad_output = torch.randn_like(expected)
    expected_gradient, gradient = torch.zeros_like(features), torch.zeros_like(features)
    compiled.roi_align_backward(grad_output, ROIS, empty, empty, expected_gradient, **how)
    roi_align_backward(grad_output, ROIS, empty, empty, gradient, **how)
    torch.testing.assert_close(gradient, expected_gradient)
