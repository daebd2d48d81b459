import warnings

import pytest
import torch

from mmdet_embedmask.benchmark.synchronisations import count_synchronisations

WAIT = "called a synchronizing CUDA operation (Triggered internally at x.cpp:1.)"


@pytest.fixture
def modes(monkeypatch):
    """Torch's modes one after the other; it begins with 2."""
    modes = [2]
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: modes[-1])
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    return modes


def test_every_wait_counts_also_of_one_line(modes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing of it gets out
        with count_synchronisations() as counted:
            assert modes[-1] == "warn"
            for _ in range(3):
                warnings.warn(WAIT, stacklevel=1)
    assert counted.count == 3 and modes == [2, "warn", 2]


def test_other_warnings_are_passed_on(modes):
    with pytest.warns(FutureWarning, match="soon gone") as given:
        with count_synchronisations() as counted:
            warnings.warn(WAIT, stacklevel=1)
            warnings.warn("soon gone", FutureWarning, stacklevel=1)
    assert counted.count == 1
    assert [(str(w.message), w.filename) for w in given] == [("soon gone", __file__)]


def test_the_mode_is_restored_after_an_error(modes):
    with pytest.raises(RuntimeError, match="out of order"):
        with count_synchronisations() as counted:
            warnings.warn(WAIT, stacklevel=1)
            raise RuntimeError("out of order")
    assert counted.count == 1 and modes == [2, "warn", 2]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_waits_of_a_real_gpu():
    values = torch.arange(5, device="cuda")
    with count_synchronisations() as counted:
        for index in range(3):
            values[index].item()
        values.cpu()
        values + 1
    assert counted.count == 4
    assert torch.cuda.get_sync_debug_mode() == 0
