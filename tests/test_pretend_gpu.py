"""The pretended GPU refuses what a GPU refuses, and counts what a GPU is waited for."""

import pytest
import torch
from pretend_gpu import pretend_gpu
from torch import nn


@pytest.fixture
def waits():
    with pretend_gpu() as places:
        yield places


def test_tensors_say_where_they_lie(waits):
    x = torch.arange(6.0).view(2, 3).to("cuda")
    made = torch.zeros(2, device=x.device), torch.tensor([1, 2], device="cuda"), x.new_tensor([3.0])
    for tensor in (x, x + 1, x[0], x[x > 2], x.where(x > 1, -1), torch.zeros_like(x), *made):
        assert tensor.device == torch.device("cuda", 0) and tensor.is_cuda
    assert x.cpu().device.type == x.to("cpu").device.type == "cpu"
    assert type(x.cpu()) is torch.Tensor and x.cpu().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert x[:, [0, 2]].tolist() == [[0, 2], [3, 5]]


def test_values_are_written_in_place_and_through_views(waits):
    x = torch.zeros(2, 3, device="cuda")
    x[0] = 1
    x.view(-1)[[1, 5]] = 2.0
    x[x == 0] = 3
    assert x.tolist() == [[1, 2, 1], [3, 3, 2]]


def test_host_and_gpu_do_not_mix(waits):
    on_gpu, on_host = torch.ones(3).to("cuda"), torch.ones(3)
    for mix in (
        lambda: on_gpu + on_host,
        lambda: on_host * on_gpu,
        lambda: torch.cat([on_gpu, on_host]),
        lambda: on_host[on_gpu.long()],
        lambda: nn.Linear(3, 1)(on_gpu),
    ):
        with pytest.raises(RuntimeError, match="same device"):
            mix()
    # Numbers and indices of the host a GPU takes.
    assert (on_gpu + torch.tensor(2.0)).tolist() == [3, 3, 3]
    assert on_gpu[torch.tensor([0])].tolist() == [1]


def test_the_host_cannot_read_what_lies_on_the_gpu(waits):
    x = torch.ones(3).to("cuda")
    with pytest.raises((TypeError, RuntimeError), match="can't convert|numpy"):
        x.numpy()
    with pytest.raises(RuntimeError, match="read too early"):
        x.to("cpu", non_blocking=True)


def test_a_tensor_cannot_be_used_after_its_gpu_is_gone():
    with pretend_gpu():
        x = torch.ones(3).to("cuda")
    with pytest.raises(RuntimeError, match="which is gone"):
        x + 1
    with pytest.raises((AssertionError, RuntimeError)):
        torch.ones(3, device="cuda")


def test_gradients_flow_through_copies_and_functions(waits):
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * x * torch.full((1,), 2.0, device=x.device)

    x = torch.tensor([1.0, -2.0], requires_grad=True)
    (Square.apply(x.to("cuda")).cpu().sum() + x.to("cuda").clamp(min=0).sum()).backward()
    assert x.grad.tolist() == [3, -4] and type(x.grad) is torch.Tensor


def test_modules_move_and_learn(waits):
    layer = nn.Linear(2, 1).to("cuda")
    assert all(isinstance(p, nn.Parameter) and p.is_cuda for p in layer.parameters())
    before = layer.weight.detach().cpu().clone()
    layer(torch.ones(1, 2, device="cuda")).sum().backward()
    torch.optim.SGD(layer.parameters(), lr=0.5).step()
    assert torch.equal(layer.weight.detach().cpu(), before - 0.5)


@pytest.mark.parametrize(
    ("wait", "times"),
    [
        (lambda x: x.cpu(), 1),
        (lambda x: x.tolist(), 1),
        (lambda x: float(x[0]), 1),
        (lambda x: bool((x > 0).all()), 1),
        (lambda x: x.nonzero(), 1),
        (lambda x: x[x > 0], 1),
        (lambda x: x[[0, 1]], 1),
        (lambda x: torch.tensor([1], device=x.device), 1),
        (lambda x: x.new_tensor([1]), 1),
        (lambda x: torch.ones(2).to(x.device), 1),
        (lambda x: x.repeat_interleave(x.long()), 1),
        (lambda x: x.unique(), 1),
        (lambda x: x.__setitem__(0, 5), 1),
        (lambda x: x.__setitem__(torch.zeros_like(x).long(), 5), 1),
        (lambda x: x.__setitem__(torch.zeros_like(x).long(), x + 1), 0),
        (lambda x: x.__setitem__(slice(0, 1), x.new_ones(1)), 0),
        (lambda x: x.__setitem__(slice(None), 5), 0),
        (lambda x: x.__setitem__(x > 1, 5), 0),
        (lambda x: x.__setitem__(x > 1, x[:1]), 1),
        (lambda x: torch.ones(2).pin_memory().to(x.device, non_blocking=True), 0),
        (lambda x: x.repeat_interleave(x.long(), output_size=3), 0),
        (lambda x: x.where(x > 0, 0).sort().values.argmax(), 0),
        (lambda x: x.new_zeros(3).add_(1), 0),
        (lambda x: len(x), 0),
    ],
)
def test_waiting_is_counted(waits, wait, times):
    x = torch.tensor([1.0, 2.0]).to("cuda")
    waits.clear()
    wait(x)
    assert len(waits) == times, waits


def test_a_wait_is_noted_with_the_line_that_waits(waits):
    from mmdet_embedmask.functional.mask_prediction import masks_of_probabilities

    probability = torch.rand(1, 8, 8).to("cuda")
    masks_of_probabilities(probability, (32, 32), (32, 32), mask_thr=0.5)
    waits.clear()
    masks_of_probabilities(probability, (32, 32), (32, 32), mask_thr=0.5)
    assert len(waits) == 2 and all("nonzero" in place for place in waits)
    assert all("mask_prediction.py:" in place for place in waits)
