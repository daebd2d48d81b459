"""tools/video_demo.py on a checkpoint alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from demo_model import save_checkpoint
from full_disk import full_disk
from tool_module import load_tool

from mmdet_embedmask.functional.run_lengths import encode_masks
from mmdet_embedmask.inference.predictor import open_segmentor
from mmdet_embedmask.inference.video import VideoFile, VideoSource
from mmdet_embedmask.loading import checkpoint_config

ROOT = Path(__file__).resolve().parents[2]
COUNT = 7


def tool():
    return load_tool("video_demo")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("demo") / "model.pth")


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A bright block that moves over noise."""
    path = tmp_path_factory.mktemp("video") / "source.mp4"
    noise = np.random.default_rng(0).integers(0, 60, (48, 64, 3), dtype=np.uint8)
    with VideoFile(path, 12.5) as file:
        for index in range(COUNT):
            frame = noise.copy()
            frame[10:30, 5 * index : 5 * index + 20] = 220
            file.write(frame)
    return path


def run(checkpoint, video, *arguments, module=None):
    arguments = [checkpoint, video, "--score-thr", "0.2", *arguments]
    return (module or tool()).main([str(part) for part in arguments])


def frames(path):
    with VideoSource(str(path)) as source:
        return source.fps, [image for _, image in source.frames()]


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_result_has_the_sources_size_speed_and_length(checkpoint, video, tmp_path, capsys):
    out, lines = tmp_path / "new" / "out.mp4", tmp_path / "out.jsonl"
    assert run(checkpoint, video, "--out", out, "--json", lines) == 0
    _, sources = frames(video)
    fps, pictures = frames(out)
    assert fps == 12.5 and len(pictures) == COUNT
    assert {picture.shape for picture in pictures} == {(48, 64, 3)}
    assert all(
        np.abs(picture.astype(int) - source).mean() > 5
        for picture, source in zip(pictures, sources, strict=True)
    )
    ready = open_segmentor(checkpoint_config(checkpoint), checkpoint, "cpu")
    total = 0
    for index, (record, source) in enumerate(zip(records(lines), sources, strict=True)):
        (expected,) = ready.predict([source])
        expected = expected[expected.scores >= 0.2]
        assert (record["image_id"], record["height"], record["width"]) == (index, 48, 64)
        assert record["file_name"] == str(video)
        assert [d["segmentation"] for d in record["detections"]] == encode_masks(expected.masks)
        total += len(expected)
    printed = capsys.readouterr()
    assert "7/7" in printed.err and f"detections={total}" in printed.err
    assert f"{out}, {lines}: 7 frames" in printed.out and "warning" not in printed.err
    assert [path.name for path in out.parent.iterdir()] == ["out.mp4"]


def test_every_nth_frame_plays_at_the_speed_of_the_source(checkpoint, video, tmp_path):
    out, lines = tmp_path / "out.avi", tmp_path / "out.jsonl"
    run(checkpoint, video, "--out", out, "--json", lines, "--every", "2", "--max-frames", "3")
    fps, pictures = frames(out)
    assert fps == pytest.approx(6.25, abs=0.3) and len(pictures) == 3
    assert [record["image_id"] for record in records(lines)] == [0, 2, 4]


def stopping(module, error):
    """The tool, whose third frame fails to be drawn."""
    draw, seen = module.draw_detections, []

    def draw_two(*arguments):
        seen.append(1)
        if len(seen) == 3:
            raise error
        draw(*arguments)

    module.draw_detections = draw_two
    return module


def test_ctrl_c_finishes_the_files(checkpoint, video, tmp_path, capsys):
    out, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    module = stopping(tool(), KeyboardInterrupt)
    assert run(checkpoint, video, "--out", out, "--json", lines, module=module) == 130
    assert len(frames(out)[1]) == len(records(lines)) == 2
    assert "2 frames until it was interrupted" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "out.mp4"]


def test_after_an_error_nothing_looks_finished(checkpoint, video, tmp_path):
    out, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    out.write_text("earlier")
    failing = stopping(tool(), OSError("no room"))
    with pytest.raises(SystemExit, match="^error: no room$"):
        run(checkpoint, video, "--out", out, "--json", lines, module=failing)
    assert out.read_text() == "earlier" and not lines.exists()
    (unfinished,) = tmp_path.glob("out.unfinished-*.mp4")
    (unfinished_lines,) = tmp_path.glob("out.unfinished-*.jsonl")
    assert len(frames(unfinished)[1]) == len(records(unfinished_lines)) == 2


@pytest.mark.usefixtures("capsys")  # what is printed would go to a file otherwise
def test_on_a_full_disk_an_earlier_video_stays(checkpoint, video, tmp_path):
    out = tmp_path / "out.mp4"
    out.write_text("earlier")
    with (
        full_disk(5000),
        pytest.raises(SystemExit, match="only 0 of 7 frames .*: the disk is full"),
    ):
        run(checkpoint, video, "--out", out)
    assert out.read_text() == "earlier"
    assert len(list(tmp_path.glob("out.unfinished-*.mp4"))) == 1


def test_a_source_may_have_the_look_of_a_temporary_name(checkpoint, video, tmp_path):
    source, out = tmp_path / "r.unfinished.mp4", tmp_path / "r.mp4"
    source.write_bytes(video.read_bytes())
    assert run(checkpoint, source, "--out", out, "--max-frames", 2) == 0
    assert source.read_bytes() == video.read_bytes() and len(frames(out)[1]) == 2


def test_the_window_ends_the_run(checkpoint, video, tmp_path, monkeypatch):
    module = tool()
    shown = []
    monkeypatch.setattr(module, "check_display", lambda: None)
    monkeypatch.setattr(
        module, "show_in_window", lambda title, picture: shown.append(picture) or len(shown) < 2
    )
    assert run(checkpoint, video, "--show", "--json", tmp_path / "a.jsonl", module=module) == 0
    assert len(shown) == len(records(tmp_path / "a.jsonl")) == 2


def test_a_damaged_video_is_told(checkpoint, video, tmp_path, capsys):
    whole = tmp_path / "whole.avi"
    with VideoFile(whole, 10) as file:
        for _ in range(20):
            file.write(np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8))
    (tmp_path / "cut.avi").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert run(checkpoint, tmp_path / "cut.avi", "--json", tmp_path / "a.jsonl") == 0
    found = len(records(tmp_path / "a.jsonl"))
    assert 0 < found < 20
    assert f"should have 20 frames, but ended after {found}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing would be kept: give --out FILE.mp4, --json FILE or --show"),
        (["--out", "a.gif"], "--out a.gif must end in one of .mp4, .avi"),
        (["--out", "VIDEO"], "is the source itself: give another file"),
        (["--json", "CHECKPOINT"], "is the checkpoint itself: give another file"),
        (
            ["--out", "new/a.mp4", "--json", "new/../new/a.mp4"],
            "--out and --json are the same file, new/a.mp4: give two",
        ),
        (["--json", "FOLDER"], "is a folder, but must be a file to write"),
        (["--out", "a.mp4", "--every", "0"], "--every 0 must be at least 1"),
        (["--out", "a.mp4", "--max-frames", "0"], "--max-frames 0 must be at least 1"),
        (["--show"], "--show: there is no display here"),
    ],
)
def test_wrong_arguments_end_before_the_model_is_loaded(
    checkpoint, video, tmp_path, capsys, monkeypatch, arguments, message
):
    monkeypatch.setattr("mmdet_embedmask.inference.demo_arguments.load_segmentor", None)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    names = dict(VIDEO=video, FOLDER=tmp_path, CHECKPOINT=checkpoint)
    with pytest.raises(SystemExit):
        run(checkpoint, video, *[names.get(argument, argument) for argument in arguments])
    assert message in capsys.readouterr().err


def test_a_source_that_cannot_be_opened_is_told(checkpoint, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(checkpoint, tmp_path / "gone.mp4", "--json", tmp_path / "a.jsonl")
    assert "gone.mp4 does not exist" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
