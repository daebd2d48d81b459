import time

import pytest
import torch

from mmdet_embedmask.benchmark.clocks import CudaClock, WallClock, clock_for, milliseconds


def test_intervals_are_in_milliseconds_and_forgotten():
    clock = WallClock(iter([1.0, 1.25, 2.0, 5.0, 5.5]).__next__)
    for _ in range(3):
        clock.mark()
    assert clock.intervals() == [250, 750]
    assert clock.intervals() == []
    for _ in range(2):
        clock.mark()
    assert clock.intervals() == [500]


def test_the_host_is_timed_by_the_wall():
    clock = clock_for(torch.device("cpu"))
    clock.mark()
    time.sleep(0.01)
    clock.mark()
    (interval,) = clock.intervals()
    assert interval >= 10


def test_a_call_is_timed_alone():
    times = [0.0]
    clock = WallClock(lambda: times[-1])
    assert milliseconds(lambda: times.append(times[-1] + 0.25), clock) == 250
    assert milliseconds(lambda: times.append(times[-1] + 0.5), clock) == 500


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_is_timed_in_its_queue_with_the_hosts_work():
    clock = clock_for(torch.device("cuda"))
    assert isinstance(clock, CudaClock)
    matrix = torch.rand(2048, 2048, device="cuda")
    for _ in range(2):
        clock.mark()
        for _ in range(20):
            matrix = (matrix @ matrix).clamp(max=1)
        clock.mark()
        matrix.sum().item()
        time.sleep(0.05)
        clock.mark()
        on_gpu, on_host = clock.intervals()
        assert on_gpu > 0
        assert on_host >= 45
