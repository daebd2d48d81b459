"""Two gloo processes: no hang, no parameter without a gradient, the joined batch's gradient."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import init_default_scope
from tiny import FUSED_BBOX_HEAD, FUSED_MASK_HEAD, build_model, data_batch, total_loss

SYSTEMS = dict(
    plain={},
    # Few proposals are drawn on each rank for itself.
    fused=dict(bbox_head=FUSED_BBOX_HEAD | dict(max_mask_proposals=3), mask_head=FUSED_MASK_HEAD),
)
ITERATIONS = dict(plain=50, fused=10)
# Instances of each rank's two images, iteration by iteration: ranks and batches without any.
COUNTS = [
    ([3, 2], [0, 0]),
    ([0, 0], [0, 0]),
    ([0, 1], [2, 0]),
    ([0, 0], [4, 1]),
    ([2, 2], [1, 3]),
]


def _rank(rank: int, folder: str, work: Callable[..., None], *options: str) -> None:
    torch.set_num_threads(1)
    init_default_scope("mmdet")
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    # The model must be gone before the group is. If DDP's reducer is the last to hold the group, it
    # joins gloo's threads with the interpreter's lock in hand, and one of them may wait for that.
    work(rank, folder, *options)
    dist.destroy_process_group()


def _model(system: str = "plain") -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model(**SYSTEMS[system])


def _backward(model: MMDistributedDataParallel, batch: dict) -> None:
    """Gradients of this rank's batch, averaged over the ranks."""
    data = model.module.data_preprocessor(batch, training=True)
    loss = model.module.parse_losses(model(**data, mode="loss"))[0]
    assert loss.isfinite()
    loss.backward()


def _train(rank: int, folder: str, system: str) -> None:
    # find_unused_parameters stays off: a parameter without a gradient would hang or raise.
    model = MMDistributedDataParallel(_model(system))
    torch.manual_seed(rank)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005)
    for iteration in range(ITERATIONS[system]):
        counts = COUNTS[iteration % len(COUNTS)][rank]
        optimizer.zero_grad()
        _backward(model, data_batch(counts, size=(64, 64)))
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    torch.save(model.module.state_dict(), f"{folder}/rank{rank}.pth")


def _gradient(rank: int, folder: str) -> None:
    model = MMDistributedDataParallel(_model())
    batch = data_batch([3, 0, 1, 2], size=(64, 96))
    own = {key: values[2 * rank : 2 * rank + 2] for key, values in batch.items()}
    _backward(model, own)
    gradients = {name: parameter.grad for name, parameter in model.module.named_parameters()}
    torch.save(gradients, f"{folder}/gradients{rank}.pth")


def _run(work: Callable[..., None], tmp_path: Path, *options: str) -> str:
    folder = str(tmp_path)
    # A worker's assertion ends the test; a hang ends in the join below.
    context = mp.spawn(_rank, args=(folder, work, *options), nprocs=2, join=False)
    for _ in range(60):
        if context.join(timeout=5):
            return folder
    for process in context.processes:
        process.kill()
    pytest.fail("two processes did not finish within 300 s: one waits for the other")


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_two_processes_learn_alike_with_empty_images_and_an_empty_rank(tmp_path, system):
    folder = _run(_train, tmp_path, system)
    states = [torch.load(f"{folder}/rank{rank}.pth") for rank in (0, 1)]
    start = _model(system).state_dict()
    # After its last batch each rank has statistics of its own, until the next begins.
    buffers = {name for name, _ in _model(system).named_buffers()}
    assert bool(buffers) == (system == "fused")
    for name, value in states[0].items():
        assert value.isfinite().all(), name
        assert name in buffers or torch.equal(value, states[1][name]), name
    still = {name for name, value in states[0].items() if torch.equal(start[name], value)}
    # Scales of levels on which these small images have no instance get zero gradients.
    assert not {name for name in still if "head" in name and "scales." not in name}


@pytest.mark.slow
def test_two_processes_give_the_gradient_of_the_joined_batch(tmp_path):
    folder = _run(_gradient, tmp_path)
    first, second = (torch.load(f"{folder}/gradients{rank}.pth") for rank in (0, 1))
    model = _model()
    total_loss(model, data_batch([3, 0, 1, 2], size=(64, 96)))[0].backward()
    for name, parameter in model.named_parameters():
        assert torch.equal(first[name], second[name]), name
        # Every normaliser is a mean over ranks or over images: the sums meet, in another order.
        scale = max(float(parameter.grad.abs().max()), 1e-6)
        torch.testing.assert_close(first[name], parameter.grad, rtol=0, atol=2e-5 * scale)
