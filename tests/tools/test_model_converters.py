"""The converters as commands, and their result as users take it."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from released_checkpoints import (
    assert_equal_weights,
    listed_shapes,
    random_weights,
    tiny_config,
    tiny_network,
)

ROOT = Path(__file__).resolve().parents[2]
PLAIN = "released/embedmask_r50_fpn_1x_coco_released.py"
FUSED = "embedmask_fused_r50_fpn_ms-1x_coco.py"


@pytest.fixture
def tools(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools" / "model_converters"))
    import mmdet_to_official
    import official_to_mmdet

    yield official_to_mmdet, mmdet_to_official
    for name in ("official_to_mmdet", "mmdet_to_official"):
        sys.modules.pop(name)


def run(tool, *args):
    tool.main([str(arg) for arg in args])


def refused(tool, capsys, *args):
    with pytest.raises(SystemExit) as error:
        run(tool, *args)
    assert error.value.code == 2
    return capsys.readouterr().err


def released(tmp_path, theirs):
    source = tmp_path / "released.pth"
    torch.save(dict(model=theirs, iteration=1), source)
    return source


@pytest.mark.parametrize("base", [PLAIN, FUSED])
def test_weights_come_back_as_they_were_with_config_and_classes_in_between(
    tools, tmp_path, capsys, base
):
    forth, back = tools
    config = tiny_config(tmp_path, base)
    ours, theirs = tiny_network(config)
    if base == FUSED:
        theirs |= {
            "mask_pred.sizes_of_interest": torch.arange(5),
            "mask_pred._iter": torch.tensor([3.0]),
        }
    source, out, again = released(tmp_path, theirs), tmp_path / "ours.pth", tmp_path / "again.pth"

    run(forth, source, out, "--config", config)
    printed = capsys.readouterr().out
    assert "depth: 50" in printed and f"config: {config}" in printed
    assert ("skipped: mask_pred.sizes_of_interest" in printed) == (base == FUSED)
    written = torch.load(out, weights_only=True)
    assert_equal_weights(written["state_dict"], ours)
    meta = written["meta"]
    assert meta["family"] == ("plain" if base == PLAIN else "fused")
    assert len(meta["source_sha256"]) == 64
    assert len(meta["dataset_meta"]["classes"]) == len(meta["dataset_meta"]["palette"]) == 80
    assert Config.fromstring(meta["cfg"], ".py").model == Config.fromfile(config).model

    run(back, out, again)
    assert "note: not written" not in capsys.readouterr().out
    content = torch.load(again, weights_only=True)
    assert list(content) == ["model"]
    assert_equal_weights(content["model"], theirs)


def test_what_is_not_kept_is_said(tools, tmp_path, capsys):
    _, back = tools
    ours, _ = tiny_network(tiny_config(tmp_path, FUSED))
    torch.save(dict(state_dict=ours, meta={}), tmp_path / "ours.pth")
    run(back, tmp_path / "ours.pth", tmp_path / "theirs.pth")
    printed = capsys.readouterr().out
    assert "note: not written: mask_pred.sizes_of_interest, mask_pred._iter" in printed


def test_an_output_is_replaced_by_force_alone(tools, tmp_path, capsys):
    config = tiny_config(tmp_path, PLAIN)
    ours, theirs = tiny_network(config)
    torch.save(dict(state_dict=ours), tmp_path / "ours.pth")
    out = tmp_path / "out.pth"
    out.write_text("precious")
    for tool, source, options in (
        (tools[0], released(tmp_path, theirs), ["--config", config]),
        (tools[1], tmp_path / "ours.pth", []),
    ):
        out.write_text("precious")
        assert "out.pth exists: give --force" in refused(tool, capsys, source, out, *options)
        assert out.read_text() == "precious"
        run(tool, source, out, *options, "--force")
        assert torch.load(out, weights_only=True)


def test_nothing_is_written_where_the_weights_do_not_fit(tools, tmp_path, capsys):
    """The default config is a full-size network; this one is tiny."""
    _, theirs = tiny_network(tiny_config(tmp_path, PLAIN))
    message = refused(tools[0], capsys, released(tmp_path, theirs), tmp_path / "out.pth")
    assert "does not fit embedmask_r50_fpn_1x_coco_released.py" in message
    assert "backbone.body.stem.conv1.weight is (4, 3, 7, 7) and must be (64, 3, 7, 7)" in message
    assert not (tmp_path / "out.pth").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        (["--embed-reduce-factor", "0"], "--embed-reduce-factor=0.0 must be greater than zero"),
        (["--embed-reduce-factor", "nan"], "--embed-reduce-factor=nan must be greater than zero"),
        (["--config", "nothing.py"], "nothing.py is not a file"),
    ],
)
def test_arguments_are_checked_before_the_file_is_read(tools, tmp_path, capsys, options, message):
    source = tmp_path / "not_read.pth"
    source.touch()
    assert message in refused(tools[0], capsys, source, tmp_path / "out.pth", *options)


def test_files_that_are_no_checkpoints_are_refused(tools, tmp_path, capsys):
    text = tmp_path / "text.pth"
    text.write_text("hello")
    for tool in tools:
        assert "is no checkpoint" in refused(tool, capsys, text, tmp_path / "out.pth")
    source = released(tmp_path, dict(a=torch.rand(1)))
    message = refused(tools[1], capsys, source, tmp_path / "out.pth")
    assert "released.pth has no state_dict" in message


def test_cfg_options_reach_the_network_and_the_checkpoint(tools, tmp_path):
    config = tiny_config(tmp_path, PLAIN)
    source = released(tmp_path, tiny_network(config)[1])
    out = tmp_path / "out.pth"
    run(
        *[tools[0], source, out, "--config", config],
        *["--cfg-options", "model.test_cfg.mask_thr=0.6"],
    )
    meta = torch.load(out, weights_only=True)["meta"]
    assert Config.fromstring(meta["cfg"], ".py").model.test_cfg.mask_thr == 0.6


def predict(checkpoint, tmp_path):
    """As a user who has the one file."""
    from mmdet.apis import DetInferencer

    inferencer = DetInferencer(model=None, weights=str(checkpoint), device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    result = inferencer(image, out_dir=str(tmp_path), no_save_vis=True, return_datasamples=True)
    assert len(inferencer.model.dataset_meta["classes"]) == 80
    (sample,) = result["predictions"]
    return sample.pred_instances


@pytest.mark.parametrize("base", [PLAIN, FUSED])
def test_det_inferencer_needs_the_new_file_alone(tools, tmp_path, base):
    config = tiny_config(tmp_path, base)
    source = released(tmp_path, tiny_network(config)[1])
    # Random weights predict little, and many boxes of no size: without limits some have one.
    settings = ("score_thr=0.0", "nms_pre=100", "max_per_img=1000")
    options = ["--cfg-options", *(f"model.test_cfg.{setting}" for setting in settings)]
    run(tools[0], source, tmp_path / "ours.pth", "--config", config, *options)
    config.unlink()
    instances = predict(tmp_path / "ours.pth", tmp_path)
    assert len(instances) > 0 and instances.masks.shape[1:] == (60, 80)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "fused", "fused_conv3"])
def test_full_size_networks_are_converted_without_a_config(tools, tmp_path, name):
    theirs = random_weights(listed_shapes(name))
    source = released(tmp_path, theirs)
    run(tools[0], source, tmp_path / "ours.pth")
    predict(tmp_path / "ours.pth", tmp_path)
    run(tools[1], tmp_path / "ours.pth", tmp_path / "again.pth")
    assert_equal_weights(torch.load(tmp_path / "again.pth", weights_only=True)["model"], theirs)
