"""What is measured on: the device, versions and settings; nothing that names the machine."""

import argparse
import importlib
import platform
from importlib import metadata
from importlib.util import find_spec
from typing import Literal, get_args

import torch

from ..cli import add_device
from ..compat.mmcv_ops import EXTENSION, STAND_IN_ORIGIN
from ..compat.plain_ops import torchvision_ops

Device = Literal["cpu", "cuda"]

DESCRIBED_PACKAGES = (
    "torch",
    "mmengine",
    "mmcv",
    "mmcv-lite",
    "mmdet",
    "onedl-mmengine",
    "onedl-mmcv",
    "onedl-mmdetection",
    "numpy",
    "opencv-python",
    "pycocotools",
    "mmdet_embedmask",
)


def add_device_option(parser: argparse.ArgumentParser, default: Device = "cpu") -> None:
    """Give a tool ``--device``, which refuses a device that is not there."""
    add_device(parser, default, get_args(Device))


def device_name(device: Device) -> str:
    """The GPU's name, or 'CPU'."""
    return torch.cuda.get_device_name(device) if device != "cpu" else "CPU"


def describe_environment() -> dict[str, str]:
    """Versions of what computes, and the kind of machine."""
    versions = {"python": platform.python_version(), "system": platform.system()}
    for name in DESCRIBED_PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    versions["device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return versions


def describe_machine(device: Device) -> dict[str, str]:
    """The environment, and all else that makes a difference to times."""
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


def _describe_gpu(device: Device) -> dict[str, str]:
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
