"""Resuming continues the very same run, from a checkpoint read by torch's safe loader."""

import pytest
import torch
from runs import build_runner, make_shapes, shapes_config

from mmdet_embedmask.compat.checkpoint import mmengine_content


@pytest.mark.slow
def test_resumed_parameters_equal_an_uninterrupted_run_bit_by_bit(tmp_path, monkeypatch):
    root = make_shapes(tmp_path / "shapes", 8, size=64)
    options = {"default_hooks.checkpoint.interval": 20, "train_cfg.val_interval": 1000}
    build_runner(shapes_config(root, tmp_path / "whole", 40, **options)).train()

    loaded = []
    load = torch.load

    def safe_load(*args, **kwargs):
        assert kwargs.get("weights_only") is not False
        loaded.append(args[0])
        return load(*args, **{**kwargs, "weights_only": True})

    monkeypatch.setattr(torch, "load", safe_load)
    options["load_from"] = str(tmp_path / "whole" / "iter_20.pth")
    options["resume"] = True
    runner = build_runner(shapes_config(root, tmp_path / "resumed", 40, **options))
    runner.train()
    assert loaded == [options["load_from"]]
    assert runner.iter == 40
    files = ("whole/iter_20.pth", "whole/iter_40.pth", "resumed/iter_40.pth")
    with mmengine_content():
        start, whole, resumed = (load(tmp_path / file, weights_only=True) for file in files)
    assert whole["state_dict"].keys() == resumed["state_dict"].keys()
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, resumed["state_dict"][name]), name
    moved = sum(
        not torch.equal(value, start["state_dict"][name])
        for name, value in whole["state_dict"].items()
    )
    assert moved == len(whole["state_dict"])
