"""The machine that is measured on, as far as it makes a difference to times."""

import importlib
from importlib.util import find_spec

import torch

from ..compat.mmcv_ops import EXTENSION, STAND_IN_ORIGIN
from ..compat.plain_ops import torchvision_ops
from ..release.environment import describe_environment
from .devices import device_name


def describe_machine(device: str) -> dict[str, str]:
    """Versions and settings, and of a GPU what it is; nothing that names the machine.

    Args:
        device: 'cpu' or 'cuda'.
    """
    spec = find_spec(EXTENSION)
    stand_in = spec is not None and spec.origin == STAND_IN_ORIGIN
    described = describe_environment() | {
        "device": device_name(device),
        "MMCV's operations": "our stand-in" if stand_in else "compiled",
        "torchvision": "none"
        if torchvision_ops() is None
        else str(importlib.import_module("torchvision").__version__),
        "CPU threads": str(torch.get_num_threads()),
    }
    return described | (_describe_gpu(device) if device != "cpu" else {})


def _describe_gpu(device: str) -> dict[str, str]:
    gpu = torch.cuda.get_device_properties(device)
    return {
        "GPU memory": f"{gpu.total_memory / 1e9:.1f} GB",
        "compute capability": f"{gpu.major}.{gpu.minor}",
        "multiprocessors": str(gpu.multi_processor_count),
        "CUDA": str(torch.version.cuda),
        # Torch has not typed it.
        "cuDNN": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]
        "TF32 in matrix products": _switch(torch.backends.cuda.matmul.allow_tf32),
        "TF32 in convolutions": _switch(torch.backends.cudnn.allow_tf32),
    }


def _switch(value: bool) -> str:
    return "on" if value else "off"
