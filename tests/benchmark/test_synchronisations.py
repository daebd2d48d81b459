import warnings

import pytest
import torch

from mmdet_embedmask.benchmark.synchronisations import SYNCHRONISING, count_synchronisations


@pytest.fixture
def modes(monkeypatch):
    """The modes that torch was set to, beginning with the one that it has."""
    found = ["default"]
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: found[-1])
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", found.append)
    return found


def wait():
    """As torch does where the host waits."""
    warnings.warn(f"{SYNCHRONISING} (Triggered internally at a.cpp:1.)", UserWarning, stacklevel=2)


def test_every_wait_is_counted_also_at_one_line(modes):
    with count_synchronisations() as found:
        for _ in range(3):
            wait()
        wait()
        assert modes == ["default", "warn"]
    assert found.count == 4 and len(set(found.places)) == 2
    assert all("test_synchronisations.py:" in place for place in found.places)
    assert modes == ["default", "warn", "default"]


def test_other_warnings_are_passed_on(modes):
    with pytest.warns(DeprecationWarning, match="old") as passed:
        with count_synchronisations() as found:
            warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert found.count == 0 and len(passed) == 1


def test_the_mode_is_as_before_after_an_error(modes):
    with pytest.raises(ZeroDivisionError), count_synchronisations():
        raise ZeroDivisionError
    assert modes == ["default", "warn", "default"]
