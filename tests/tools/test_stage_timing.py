"""The commands that measure: stage times, parameters and FLOPs."""

import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from tiny import build_model, model_cfg

from mmdet_embedmask.benchmark.stage_times import STAGES

TOOLS = Path(__file__).parents[2] / "tools"


def load_tool(name):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *arguments: module.main([str(a) for a in arguments])


@pytest.fixture
def stage_timing():
    threads = torch.get_num_threads()
    yield load_tool("stage_timing")
    torch.set_num_threads(threads)


@pytest.fixture
def model_complexity():
    return load_tool("model_complexity")


@pytest.fixture
def config(tmp_path):
    pipeline = [
        dict(type="LoadImageFromFile"),
        dict(type="Resize", scale=(64, 64), keep_ratio=True),
        dict(
            type="PackDetInputs",
            meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
        ),
    ]
    path = tmp_path / "tiny.py"
    content = dict(model=model_cfg(), test_dataloader=dict(dataset=dict(pipeline=pipeline)))
    Config(content).dump(path)
    return path


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_table_and_json(stage_timing, config, tmp_path, capsys):
    other, out = tmp_path / "other.py", tmp_path / "new" / "times.json"
    other.write_text(config.read_text())
    short = ("--size", 40, 70, "--runs", 3, "--warmup", 0, "--threads", 1, "--instances", 6)
    stage_timing(config, other, *short, "--json", out)
    head, _, *table = capsys.readouterr().out.splitlines()
    assert head == (
        f"CPU; CPU threads: 1; torch {torch.__version__}; image 40 x 70, padded to 64 x 96, masks "
        "of 40 x 70; 6 detections (the best 6 candidates: score_thr=0, max_per_img=6, "
        "min_bbox_size=-1, nms iou_threshold=1.0); untrained weights; milliseconds: median "
        "(min - max) of 3 runs after 0"
    )
    assert cells(table[0]) == ["stage", "tiny", "other"]
    rows = [cells(line)[0] for line in table[2:10]]
    assert rows == [*STAGES[:-1], "total", "rle (not in the total)"]
    content = json.loads(out.read_text())
    assert (content["device"], content["runs"], content["instances"]) == ("cpu", 3, 6)
    assert [d["name"] for d in content["detectors"]] == ["tiny", "other"]
    for detector in content["detectors"]:
        assert detector["detections"] == 6
        assert list(detector["stages_ms"]) == list(STAGES)
        assert all(0 <= s["minimum"] <= s["median"] <= s["maximum"] for s in stages_of(detector))
        totals = sorted(sum(run[s] for s in STAGES[:-1]) for run in detector["runs_ms"])
        expected = dict(minimum=totals[0], median=totals[1], maximum=totals[2])
        assert detector["total_ms"] == pytest.approx(expected)


def stages_of(detector):
    return [*detector["stages_ms"].values(), detector["total_ms"]]


def test_an_image_a_checkpoint_and_autocast(stage_timing, config, tmp_path, capsys):
    image, checkpoint = tmp_path / "image.png", tmp_path / "weights.pth"
    cv2.imwrite(str(image), np.random.default_rng(0).integers(0, 256, (48, 96, 3)))
    torch.save(dict(state_dict=build_model().state_dict()), checkpoint)
    arguments = ("--image", image, "--checkpoint", checkpoint, "--runs", 1, "--warmup", 0, "--amp")
    stage_timing(config, *arguments, "--cfg-options", "model.test_cfg.max_per_img=4")
    output = capsys.readouterr().out
    assert "image 32 x 64, padded to 32 x 64, masks of 48 x 96" in output
    assert "CPU, autocast;" in output
    assert "4 detections (the config's test settings); trained weights" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--runs", 0), "--runs 0 must be at least 1"),
        (("--warmup", -1), "--warmup -1 must be at least 0"),
        (("--threads", 0), "--threads 0 must be at least 1"),
        (("--instances", 0), "--instances 0 must be at least 1"),
        (("--size", 16, 640), "--size 16: height and width must be at least 32"),
        (("--image", "no.jpg"), "no.jpg is not a file"),
        (("--image", "no.jpg", "--size", 64, 64), "not allowed with argument --image"),
        (("--checkpoint", "no.pth"), "no.pth is not a file"),
        (("--checkpoint", __file__, __file__), "--checkpoint names 2 files for 1 configs"),
        (("--json", Path(__file__).parent), "is a folder: name a file"),
        (("--image", __file__), "is not an image that OpenCV reads"),
        (("--cfg-options", "model.type=FCOS"), "the model is of type 'FCOS', not of a kind of"),
        (("--cfg-options", "model.type=None"), "the model is of type None, not of a kind of"),
    ],
)
def test_bad_arguments_are_told_before_a_model_is_built(
    stage_timing, config, capsys, monkeypatch, arguments, message
):
    monkeypatch.setattr("mmdet_embedmask.EmbedMask.__init__", None)
    with pytest.raises(SystemExit) as exit_:
        stage_timing(config, *arguments)
    assert message in f"{exit_.value} {capsys.readouterr().err}"


def test_a_missing_config_and_a_missing_gpu(stage_timing, config, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        stage_timing(config, "--device", "cuda")
    assert "torch finds no CUDA device here, take --device cpu" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        stage_timing(config.with_name("no.py"))
    assert "no.py is not a file" in capsys.readouterr().err


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_the_gpu(stage_timing, config, tmp_path, capsys):
    out = tmp_path / "times.json"
    arguments = ("--device", "cuda", "--size", 64, 64, "--runs", 2, "--amp", "--json", out)
    stage_timing(config, *arguments)
    assert torch.cuda.get_device_name() in capsys.readouterr().out
    content = json.loads(out.read_text())
    assert content["device_name"] == torch.cuda.get_device_name()
    assert content["detectors"][0]["total_ms"]["minimum"] > 0


def test_parameters_and_flops(model_complexity, config, tmp_path, capsys):
    out = tmp_path / "counts.json"
    model_complexity(config, "--size", 40, 70, "--json", out)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Image 40 x 70, padded to 64 x 96.")
    parts = ["backbone", "neck", "proposal head", "pixel head"]
    assert cells(lines[3]) == ["config", "inference", *parts, "training only"]
    content = json.loads(out.read_text())["detectors"][0]
    assert content["total_parameters"] == sum(p.numel() for p in build_model().parameters())
    millions, giga = content["total_parameters"] / 1e6, content["total_flops"] / 1e9
    assert cells(lines[5])[:2] == ["tiny", f"{millions:.2f} M / {giga:.2f} G"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--size", 640, 31), "--size 31: height and width must be at least 32"),
        (("--json", Path(__file__).parent), "is a folder: name a file"),
        (("--cfg-options", "model.type=CondInst"), "is of type 'CondInst', not of a kind of Embed"),
    ],
)
def test_bad_arguments_of_the_counts(model_complexity, config, capsys, arguments, message):
    with pytest.raises(SystemExit) as exit_:
        model_complexity(config, *arguments)
    assert message in f"{exit_.value} {capsys.readouterr().err}"
