"""The device of these tests: a GPU, and by default one that is pretended."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest
import torch
from pretend_gpu import pretend_gpu

from mmdet_embedmask.benchmark.synchronisations import count_synchronisations
from mmdet_embedmask.compat.mmcv_ops import install_mmcv_ops


@contextmanager
def counted_waits() -> Iterator[list[str]]:
    """The places at which the host waits for a GPU, known after the context."""
    places: list[str] = []
    with count_synchronisations() as found:
        yield places
    places += found.places


@dataclass(frozen=True)
class Gpu:
    """What a test is given.

    Args:
        counted: inside, every wait of the host for the GPU is noted in the list.
    """

    counted: Callable[[], AbstractContextManager[list[str]]]


@pytest.fixture
def real_gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """A CUDA device, whose convolutions and products are of full precision."""
    if not torch.cuda.is_available():
        # All of them would fail.
        pytest.exit("torch finds no CUDA device here: take make gpu DEVICE=cpu", returncode=1)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    return Gpu(counted_waits)


@pytest.fixture
def pretended_gpu() -> Iterator[Gpu]:
    """A device that is none: see `pretend_gpu`."""
    if not install_mmcv_ops():
        pytest.skip("compiled MMCV is installed here: what is compiled knows real tensors alone")

    @contextmanager
    def counted() -> Iterator[list[str]]:
        waits.clear()
        yield waits

    with pretend_gpu() as waits:
        yield Gpu(counted)


@pytest.fixture(params=["pretended", pytest.param("real", marks=pytest.mark.gpu)])
def gpu(request: pytest.FixtureRequest) -> Gpu:
    """Either, in a test of its own: 'cuda' is a device."""
    return request.getfixturevalue(f"{request.param}_gpu")
