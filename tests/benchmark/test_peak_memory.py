import mmap
import os

import pytest
import torch

from mmdet_embedmask.benchmark import peak_memory
from mmdet_embedmask.benchmark.peak_memory import (
    in_new_process,
    peak_of,
    peak_resident_memory,
    reset_peak,
    resident_memory,
)

MB = 2**20


@pytest.fixture
def linux(tmp_path, monkeypatch):
    """A folder like Linux's /proc, whose only process holds what a test lets it hold."""
    process = tmp_path / "self"
    process.mkdir()
    monkeypatch.setattr(peak_memory, "PROC", tmp_path)

    def hold(now, peak):
        lines = ["Name:\tpython", f"VmHWM:\t  {peak} kB", f"VmRSS:\t  {now} kB", "Threads:\t1"]
        (process / "status").write_text("\n".join(lines))

    hold.reset = process / "clear_refs"
    return hold


def test_memory_is_read_in_bytes(linux, tmp_path):
    linux(now=3, peak=5)
    assert (resident_memory(), peak_resident_memory()) == (3 * 1024, 5 * 1024)
    reset_peak()
    assert linux.reset.read_text() == "5"
    # What is left of a process that has ended.
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "status").write_text("Name:\tpython\nState:\tZ (zombie)\n")
    with pytest.raises(ProcessLookupError, match="process 7 has ended"):
        resident_memory(7)
    with pytest.raises(FileNotFoundError):
        peak_resident_memory(8)


def test_a_peak_is_that_of_the_call_beyond_what_was_held(linux):
    linux(now=1000, peak=9000)

    def run():
        assert linux.reset.exists()
        linux(now=1500, peak=4000)

    assert peak_of(run, on_gpu=False) == 3000 * 1024


def test_on_a_gpu_a_peak_is_what_a_call_adds_with_its_result(monkeypatch):
    held = dict(now=1000, peak=9000)
    monkeypatch.setattr(
        torch.cuda, "reset_peak_memory_stats", lambda: held.update(peak=held["now"])
    )
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: held["now"])
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: held["peak"])
    assert peak_of(lambda: held.update(peak=1700), on_gpu=True) == 700
    assert peak_of(lambda: None, on_gpu=True) == 0


def test_linux_counts_what_is_used():
    """Lower bounds alone: what else the process holds is not in our hands."""
    reset_peak()
    before = resident_memory()
    with mmap.mmap(-1, 64 * MB) as held:
        held.write(b"x" * (64 * MB))
        assert resident_memory(os.getpid()) - before > 50 * MB
    peak = peak_resident_memory(os.getpid())
    assert peak - before > 50 * MB
    reset_peak()
    assert peak - peak_resident_memory() > 40 * MB


def test_a_new_process_keeps_no_freed_memory(monkeypatch):
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_", raising=False)
    assert in_new_process(os.getenv, "MALLOC_MMAP_THRESHOLD_") == "65536"
    assert "MALLOC_MMAP_THRESHOLD_" not in os.environ
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "99")
    assert in_new_process(os.getpid) != os.getpid()
    assert os.environ["MALLOC_MMAP_THRESHOLD_"] == "99"
    with pytest.raises(ZeroDivisionError):
        in_new_process(divmod, 1, 0)
