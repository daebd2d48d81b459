from importlib import metadata

import torch

from mmdet_embedmask.release import environment
from mmdet_embedmask.release.environment import describe_environment


def test_packages_that_are_not_installed_are_left_out(monkeypatch):
    monkeypatch.setattr(environment, "PACKAGES", ("numpy", "a-package-that-nobody-has", "torch"))
    described = describe_environment()
    assert list(described) == ["python", "system", "numpy", "torch", "device"]
    assert described["torch"] == metadata.version("torch")
    assert described["device"] == "CPU" or torch.cuda.is_available()
