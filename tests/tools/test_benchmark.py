"""The commands that measure: stage times, parameters and FLOPs."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from tiny import build_model, model_cfg
from tool_module import load_tool

from mmdet_embedmask.benchmark.inference_memory import InferenceMemory


def command(name):
    return lambda *arguments: load_tool(name).main([str(a) for a in arguments])


@pytest.fixture
def benchmark():
    """The command; memory is made up, as measuring it starts a process for each detector."""
    threads = torch.get_num_threads()
    tool = load_tool("benchmark")

    def inference_memory(spec, image, score_thr, threads):
        # The threshold that was found before: a search would run the detector.
        assert 0 < score_thr < 1 and threads == 1
        return InferenceMemory(network=10**6 * len(spec.name), whole=10**6 * image.size[0])

    tool.inference_memory = inference_memory
    yield lambda *arguments: tool.main([str(argument) for argument in arguments])
    torch.set_num_threads(threads)


@pytest.fixture
def model_complexity():
    return command("model_complexity")


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


def test_a_comparison_is_printed_and_written_as_table_json_and_plot(
    benchmark, config, tmp_path, capsys
):
    other, out = tmp_path / "other.py", tmp_path / "new"
    other.write_text(config.read_text())
    short = ("--size", 40, 70, "--runs", 3, "--warmup", 0, "--threads", 1, "--instances", 6)
    benchmark(config, other, *short, "--memory", "--out", out)
    printed = capsys.readouterr().out
    head, _, *table = printed.splitlines()
    assert head.startswith(
        f"CPU; CPU threads: 1; torch {torch.__version__}; 1 x image 40 x 70, masks of the image's "
        "size; 6 instances of 30 candidates in each image; untrained weights; median (lowest to "
        "highest) of 3 runs in turns after 0; a mask covers of the image: tiny "
    )
    assert [cells(line)[0] for line in table] == ["detector", "-" * 8, "tiny", "other"]
    assert (out / "benchmark.md").read_text() == printed
    assert cv2.imread(str(out / "benchmark.png")).ndim == 3
    assert [cells(line)[-4:-2] for line in table[2:]] == [["4", "40"], ["5", "40"]]
    detectors = json.loads((out / "benchmark.json").read_text())["detectors"]
    assert [d["memory"] for d in detectors] == [
        dict(network=4 * 10**6, whole=40 * 10**6),
        dict(network=5 * 10**6, whole=40 * 10**6),
    ]
    for detector in detectors:
        assert detector["instances"] == 6 and len(detector["runs"]) == 3
        totals = sorted(sum(run.values()) for run in detector["runs"])
        assert detector["total_ms"]["p50"] == pytest.approx(totals[1])
        assert detector["parameters"] == sum(p.numel() for p in build_model().parameters())
        assert detector["flops"] > 2 * 10**6


def test_the_line_above_the_table_names_image_weights_and_options(
    benchmark, config, tmp_path, capsys
):
    image, checkpoint = tmp_path / "image.png", tmp_path / "weights.pth"
    cv2.imwrite(str(image), np.random.default_rng(0).integers(0, 256, (48, 96, 3)))
    torch.save(dict(state_dict=build_model().state_dict()), checkpoint)
    arguments = ("--image", image, "--checkpoint", checkpoint, "--runs", 1, "--warmup", 0, "--amp")
    arguments += ("--instances", 0, "--rle", "--channels-last", "--batch", 2)
    benchmark(config, *arguments, "--cfg-options", "model.test_cfg.max_per_img=4")
    output = capsys.readouterr().out
    assert "CPU, amp, channels_last;" in output
    assert f"2 x image {image}, masks of the image's size as run lengths" in output
    assert "the instances that each finds; trained weights" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--runs", 0), "--runs 0 must be at least 1"),
        (("--warmup", -1), "--warmup -1 must be at least 0"),
        (("--threads", 0), "--threads 0 must be at least 1"),
        (("--batch", 0), "--batch 0 must be at least 1"),
        (("--instances", -1), "--instances -1 must be at least 0"),
        (("--size", 16, 640), "--size 16: height and width must be at least 32"),
        (("--original-size", 0, 640), "--original-size [0, 640]: take at least 1"),
        (("--image", "no.jpg"), "no.jpg is not a file"),
        (("--image", "no.jpg", "--size", 64, 64), "not allowed with argument --image"),
        (("--image", __file__, "--original-size", 9, 9), "the masks of --image are as large"),
        (("--checkpoint", "no.pth"), "no.pth is not a file"),
        (("--checkpoint", __file__, __file__), "--checkpoint names 2 files for 1 configs"),
        (("--out", __file__), "is a file, but must be a folder to write into"),
        (("--image", __file__), "is not an image that OpenCV reads"),
        (("--cfg-options", "model.type=None"), "the model is of type None, not of a kind of"),
    ],
)
def test_bad_arguments_are_told_before_a_model_is_built(
    benchmark, config, capsys, monkeypatch, arguments, message
):
    monkeypatch.setattr("mmdet_embedmask.EmbedMask.__init__", None)
    with pytest.raises(SystemExit) as exit_:
        benchmark(config, *arguments)
    assert message in f"{exit_.value} {capsys.readouterr().err}"


def test_a_detector_without_the_wanted_instances_is_refused(benchmark, config):
    with pytest.raises(SystemExit, match="error: tiny gives .* instead of 99999: take fewer"):
        benchmark(config, "--size", 64, 64, "--instances", 99999)


@pytest.mark.slow
def test_a_compiled_run_says_so(benchmark, config, capsys):
    benchmark(config, "--size", 64, 64, "--runs", 1, "--warmup", 1, "--instances", 5, "--compile")
    assert capsys.readouterr().out.startswith("CPU, compile;")


def test_a_missing_config_and_a_missing_gpu_are_told(benchmark, config, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        benchmark(config, "--device", "cuda")
    assert "torch finds no CUDA device here, take --device cpu" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        benchmark(config.with_name("no.py"))
    assert "no.py is not a file" in capsys.readouterr().err


def test_the_mask_stage_alone_is_printed_and_written(tmp_path, capsys):
    out = tmp_path / "masks.json"
    small = ("--size", 64, 96, "--instances", 3, "--runs", 2, "--warmup", 0, "--json", out)
    command("mask_benchmark")(*small, "--aligned", "--original-size", 90, 100)
    lines = capsys.readouterr().out.splitlines()
    assert "3 objects of 4% of the image, 64 x 96, masks of 90 x 100" in lines[0]
    assert [cells(line)[0] for line in lines[4:]] == list(json.loads(out.read_text())["times_ms"])
    assert cells(lines[4])[2] == cells(lines[5])[2] == "1.0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--area", 0), "--area 0.0 must be a part of the image"),
        (("--instances", 0), "--instances 0 must be at least 1"),
        (("--original-size", 0, 5), "take at least 1 pixel"),
    ],
)
def test_bad_arguments_of_the_mask_stage_are_told(capsys, arguments, message):
    with pytest.raises(SystemExit):
        command("mask_benchmark")(*arguments)
    assert message in capsys.readouterr().err


def test_training_steps_are_printed_and_written(tmp_path, capsys):
    path, out = tmp_path / "tiny.py", tmp_path / "steps.json"
    optimizer = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.01))
    model = model_cfg(bbox_head=dict(num_classes=80))
    Config(dict(model=model, optim_wrapper=optimizer)).dump(path)
    small = ("--size", 64, 96, "--images", 1, "--instances", 2, "--runs", 2, "--json", out)
    command("training_benchmark")(path, *small)
    lines = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("CPU"))
    assert "1 images of 64 x 96 with 2 instances each" in lines[start]
    assert cells(lines[start + 4])[::2] == ["tiny", "1.00"]
    (detector,) = json.loads(out.read_text())["detectors"]
    assert len(detector["seconds"]) == 2 and detector["memory_bytes"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no.py",), "no.py is not a file"),
        (("mmdet::x.py", "--size", 64, 70), "--size 70: height and width must be multiples of 32"),
        (("mmdet::x.py", "--images", 0), "--images 0 must be at least 1"),
    ],
)
def test_bad_arguments_of_the_training_steps_are_told(capsys, arguments, message):
    with pytest.raises(SystemExit):
        command("training_benchmark")(*arguments)
    assert message in capsys.readouterr().err


def test_parameters_and_flops_are_printed_and_written(model_complexity, config, tmp_path, capsys):
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
def test_bad_arguments_of_the_counts_are_told(model_complexity, config, capsys, arguments, message):
    with pytest.raises(SystemExit) as exit_:
        model_complexity(config, *arguments)
    assert message in f"{exit_.value} {capsys.readouterr().err}"
