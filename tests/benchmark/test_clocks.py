import time

import torch

from mmdet_embedmask.benchmark.clocks import WallClock, clock_for, milliseconds


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
