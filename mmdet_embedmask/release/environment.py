"""What a release was made and checked with."""

import platform
from importlib import metadata

import torch

PACKAGES = (
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


def describe_environment() -> dict[str, str]:
    """Versions of what computes, and the kind of machine; nothing that names the machine."""
    versions = {"python": platform.python_version(), "system": platform.system()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    versions["device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return versions
