import argparse

import pytest
import torch

from mmdet_embedmask.benchmark.devices import add_device_option, device_name, peak_allocated


@pytest.fixture
def parser():
    return argparse.ArgumentParser()


def test_the_device_that_is_asked_for(parser, monkeypatch):
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


def test_a_device_has_the_gpus_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device}")
    assert [device_name("cpu"), device_name("cuda")] == ["CPU", "GPU cuda"]


def test_the_peak_is_what_a_call_adds_and_the_result_counts(monkeypatch):
    held = dict(now=1000, peak=9000)
    monkeypatch.setattr(
        torch.cuda, "reset_peak_memory_stats", lambda: held.update(peak=held["now"])
    )
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: held["now"])
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: held["peak"])
    assert peak_allocated(lambda: held.update(peak=1700)) == 700
    assert peak_allocated(lambda: None) == 0
