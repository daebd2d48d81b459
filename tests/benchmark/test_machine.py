from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmdet_embedmask.benchmark import machine
from mmdet_embedmask.benchmark.machine import describe_machine


@pytest.fixture
def operations(monkeypatch):
    """Sets where MMCV's operations come from, and whether there is a torchvision."""

    def choose(origin, torchvision):
        module = SimpleNamespace(__version__="0.26.0")
        monkeypatch.setattr(machine, "find_spec", lambda _: SimpleNamespace(origin=origin))
        monkeypatch.setattr(machine, "torchvision_ops", lambda: module if torchvision else None)
        monkeypatch.setattr(machine.importlib, "import_module", lambda _: module)

    return choose


def test_a_cpu(operations):
    operations(machine.STAND_IN_ORIGIN, torchvision=False)
    described = describe_machine("cpu")
    assert described["device"] == "CPU"
    assert described["MMCV's operations"] == "our stand-in"
    assert described["torchvision"] == "none"
    assert described["numpy"] == np.__version__
    assert described["CPU threads"] == str(torch.get_num_threads())
    assert "cuDNN" not in described and "TF32 in convolutions" not in described


def test_a_gpu(operations, monkeypatch):
    operations("/site-packages/mmcv/_ext.so", torchvision=True)
    gpu = SimpleNamespace(total_memory=150 * 10**9, major=9, minor=0, multi_processor_count=132)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "NVIDIA H200")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: gpu)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    described = describe_machine("cuda")
    # TF32 as torch sets it.
    expected = {
        "device": "NVIDIA H200",
        "MMCV's operations": "compiled",
        "torchvision": "0.26.0",
        "GPU memory": "150.0 GB",
        "compute capability": "9.0",
        "multiprocessors": "132",
        "CUDA": "13.0",
        "cuDNN": "91002",
        "TF32 in matrix products": "off",
        "TF32 in convolutions": "on",
    }
    assert described | expected == described
    assert not any("/" in value for value in described.values())
