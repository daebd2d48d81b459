import argparse
from importlib import metadata
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmdet_embedmask.benchmark import machine
from mmdet_embedmask.benchmark.machine import (
    add_device_option,
    describe_environment,
    describe_machine,
    device_name,
)


@pytest.fixture
def parser():
    return argparse.ArgumentParser()


def test_a_tool_takes_the_device_that_is_asked_for(parser, monkeypatch):
    add_device_option(parser)
    assert parser.parse_args([]).device == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert parser.parse_args(["--device", "cuda"]).device == "cuda"


@pytest.mark.parametrize("arguments", [["--device", "cuda"], []])
def test_a_device_that_is_not_there_is_told_even_by_default(parser, capsys, monkeypatch, arguments):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    add_device_option(parser, default="cuda")
    with pytest.raises(SystemExit):
        parser.parse_args(arguments)
    told = capsys.readouterr().err
    assert "--device: torch finds no CUDA device here, take --device cpu" in told


def test_a_gpu_is_called_by_its_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device}")
    assert [device_name("cpu"), device_name("cuda")] == ["CPU", "GPU cuda"]


def test_packages_that_are_not_installed_are_left_out(monkeypatch):
    monkeypatch.setattr(
        machine, "DESCRIBED_PACKAGES", ("numpy", "a-package-that-nobody-has", "torch")
    )
    described = describe_environment()
    assert list(described) == ["python", "system", "numpy", "torch", "device"]
    assert described["torch"] == metadata.version("torch")
    assert described["device"] == "CPU" or torch.cuda.is_available()


@pytest.fixture
def operations(monkeypatch):
    """Sets where MMCV's operations come from, and whether there is a torchvision."""

    def choose(origin, torchvision):
        module = SimpleNamespace(__version__="0.26.0")
        monkeypatch.setattr(machine, "find_spec", lambda _: SimpleNamespace(origin=origin))
        monkeypatch.setattr(machine, "torchvision_ops", lambda: module if torchvision else None)
        monkeypatch.setattr(machine.importlib, "import_module", lambda _: module)

    return choose


def test_a_cpu_is_described_without_what_gpus_have(operations):
    operations(machine.STAND_IN_ORIGIN, torchvision=False)
    described = describe_machine("cpu")
    assert described["device"] == "CPU"
    assert described["MMCV's operations"] == "our stand-in"
    assert described["torchvision"] == "none"
    assert described["numpy"] == np.__version__
    assert described["CPU threads"] == str(torch.get_num_threads())
    assert "cuDNN" not in described and "TF32 in convolutions" not in described


def test_a_gpu_is_described_with_its_settings(operations, monkeypatch):
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
