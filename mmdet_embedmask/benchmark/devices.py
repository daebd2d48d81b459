"""The device that is measured on: asking for it, its name, its memory."""

import argparse
import gc
from collections.abc import Callable

import torch

from ..cli import add_device

DEVICES = ("cpu", "cuda")


def add_device_option(parser: argparse.ArgumentParser, default: str = "cpu") -> None:
    """Give a tool ``--device``, which refuses a device that is not there."""
    add_device(parser, default, DEVICES)


def device_name(device: str) -> str:
    """The GPU's name, or 'CPU'."""
    return torch.cuda.get_device_name(device) if device != "cpu" else "CPU"


def peak_allocated(run: Callable[[], object]) -> int:
    """Largest memory that torch has allocated on the GPU in a call, beyond what it held before.

    Torch counts when the host asks for memory, so nothing has to wait for the GPU.

    Returns:
        Bytes; what the caching allocator keeps for later is not in.
    """
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    result = run()
    peak = torch.cuda.max_memory_allocated() - before
    del result  # it counts
    return peak


def free_memory() -> None:
    """Give back to the GPU what no object holds any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
