import os

import numpy as np
import pytest

from mmdet_embedmask.benchmark.resident_memory import (
    peak_resident_memory,
    reset_peak,
    resident_memory,
)

MB = 2**20


def test_the_peak_is_what_was_held_since_the_reset():
    reset_peak()
    before = resident_memory()
    held = np.ones(300 * MB, np.uint8)
    assert resident_memory() - before > 290 * MB
    del held
    assert resident_memory() - before < 50 * MB
    assert 290 * MB < peak_resident_memory() - before < 350 * MB
    reset_peak()
    assert peak_resident_memory(os.getpid()) - before < 50 * MB


def test_a_process_that_is_not_there():
    with pytest.raises(OSError):
        peak_resident_memory(2**22 + 1)
