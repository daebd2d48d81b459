"""tools/image_demo.py on a checkpoint alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from demo_model import CLASSES, demo_config, save_checkpoint
from PIL import Image
from pycocotools import mask as coco_mask
from tool_module import load_tool

from mmdet_embedmask.functional.run_lengths import encode_masks
from mmdet_embedmask.inference.predictor import open_segmentor
from mmdet_embedmask.loading import checkpoint_config

ROOT = Path(__file__).resolve().parents[2]
IMAGES = np.random.default_rng(0).integers(0, 255, (3, 60, 90, 3), dtype=np.uint8)


def tool():
    return load_tool("image_demo")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("demo") / "model.pth")


@pytest.fixture
def images(tmp_path):
    """Three images, two of them with one name."""
    paths = [tmp_path / "in" / name for name in ("a.png", "b.png", "more/a.png")]
    paths[2].parent.mkdir(parents=True)
    for path, image in zip(paths, IMAGES, strict=True):
        cv2.imwrite(str(path), image)
    return paths


def run(checkpoint, out, *arguments):
    code = tool().main([str(part) for part in (checkpoint, *arguments, "--out", out)])
    path = out / "predictions.json"
    return code, json.loads(path.read_text()) if path.exists() else None


def test_json_holds_what_the_model_predicts(checkpoint, images, tmp_path, capsys):
    out = tmp_path / "out"
    code, records = run(checkpoint, out, images[0].parent, "--recursive", "--score-thr", "0.5")
    assert code == 0
    assert [record["file_name"] for record in records] == [path.as_posix() for path in images]
    ready = open_segmentor(checkpoint_config(checkpoint), checkpoint, "cpu")
    total = 0
    for index, (record, image) in enumerate(zip(records, IMAGES, strict=True)):
        (expected,) = ready.predict([image])
        expected = expected[expected.scores >= 0.5]
        assert (record["height"], record["width"], record["image_id"]) == (60, 90, index)
        found = record["detections"]
        assert np.float32([d["score"] for d in found]).tolist() == expected.scores.tolist()
        assert [d["category_id"] for d in found] == expected.labels.tolist()
        assert [d["category"] for d in found] == [CLASSES[i] for i in expected.labels]
        assert [d["segmentation"] for d in found] == encode_masks(expected.masks)
        low_size = np.array([d["bbox"] for d in found]).reshape(-1, 4)
        corners = np.concatenate([low_size[:, :2], low_size[:, :2] + low_size[:, 2:]], axis=1)
        assert np.allclose(corners, expected.bboxes, atol=1e-4)
        total += len(found)
    assert 3 < total < 30  # the threshold took some and left some
    printed = capsys.readouterr()
    assert f"3 images, {total} detections with a score of 0.5 or more, 0 files" in printed.out
    assert "3/3" in printed.err and f"detections={total}" in printed.err
    assert sorted(path.name for path in out.iterdir()) == ["overlays", "predictions.json"]


def test_overlays_have_names_of_their_own_and_show_the_masks(checkpoint, images, tmp_path):
    out = tmp_path / "out"
    style = ["--labels", "none", "--no-boxes"]
    _, records = run(checkpoint, out, images[0], images[2], *style)
    files = sorted(path.name for path in (out / "overlays").iterdir())
    assert files == ["00000_a.png", "00001_a.png"]
    for file, image, record in zip(files, IMAGES[[0, 2]], records, strict=True):
        picture = cv2.imread(str(out / "overlays" / file))
        masks = [coco_mask.decode(d["segmentation"]) for d in record["detections"]]
        covered = np.any(masks, axis=0)
        assert picture.shape == image.shape and 0 < covered.mean()
        assert np.array_equal(picture[~covered], image[~covered])
        assert (picture != image).any(axis=2)[covered].mean() > 0.95


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_masks_and_overlays_are_upright(checkpoint, tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = (60, 90) if orientation <= 4 else (90, 60)
    Image.fromarray(IMAGES[0]).save(tmp_path / "photo.jpg", exif=exif)
    _, (record,) = run(checkpoint, tmp_path / "out", tmp_path / "photo.jpg")
    assert (record["height"], record["width"]) == upright
    assert record["detections"]
    assert all(tuple(d["segmentation"]["size"]) == upright for d in record["detections"])
    assert cv2.imread(str(tmp_path / "out/overlays/00000_photo.png")).shape[:2] == upright


def test_broken_files_are_named_and_skipped(checkpoint, images, tmp_path, capsys):
    folder = images[0].parent
    jpeg = cv2.imencode(".jpg", IMAGES[0])[1].tobytes()
    png = images[1].read_bytes()
    broken = {
        "empty.jpg": (b"", "is empty"),
        "text.jpg": (b"hello", "is not an image that OpenCV reads"),
        "cut.jpg": (jpeg[: len(jpeg) // 2], "is an incomplete JPEG"),
        "cut.png": (png[: len(png) // 2], "is an incomplete PNG"),
    }
    for name, (content, _) in broken.items():
        (folder / name).write_bytes(content)
    code, records = run(checkpoint, tmp_path / "out", folder, "--no-overlays")
    assert code == 0 and [Path(record["file_name"]).name for record in records] == [
        "a.png",
        "b.png",
    ]
    printed = capsys.readouterr()
    for name, (_, reason) in broken.items():
        assert f"skipped: {folder / name} {reason}" in printed.err
    assert "2 images" in printed.out and "4 files skipped" in printed.out
    assert not (tmp_path / "out" / "overlays").exists()


def test_nothing_but_broken_files_is_a_failure(checkpoint, tmp_path, capsys):
    (tmp_path / "empty.jpg").write_bytes(b"")
    code, records = run(checkpoint, tmp_path / "out", tmp_path / "empty.jpg")
    assert code == 1 and records == []
    assert "0 images" in capsys.readouterr().out


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_run_keeps_its_records_and_leaves_no_json(
    checkpoint, images, tmp_path, monkeypatch, error
):
    module = tool()
    write = module.write_overlay

    def stop_at_the_third(folder, result, style):
        if result.record["image_id"] == 2:
            raise error
        write(folder, result, style)

    monkeypatch.setattr(module, "write_overlay", stop_at_the_third)
    arguments = [checkpoint, *images, "--out", tmp_path / "out"]
    with pytest.raises(error):
        module.main([str(part) for part in arguments])
    assert not (tmp_path / "out" / "predictions.json").exists()
    lines = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    _, complete = run(checkpoint, tmp_path / "again", *images)
    assert [json.loads(line) for line in lines] == complete[:2]


def test_a_config_and_settings_replace_the_checkpoints_own(checkpoint, images, tmp_path):
    demo_config(max_per_img=2).dump(tmp_path / "config.py")
    config = ["--config", tmp_path / "config.py", "--score-thr", "0"]
    _, (record,) = run(checkpoint, tmp_path / "out", images[0], *config)
    assert len(record["detections"]) == 2
    options = ["--cfg-options", "model.test_cfg.max_per_img=1"]
    _, (record,) = run(checkpoint, tmp_path / "out", images[0], *config, *options)
    assert len(record["detections"]) == 1


def test_no_json_leaves_pictures_alone(checkpoint, images, tmp_path):
    code, records = run(checkpoint, tmp_path / "out", images[0], "--no-json", "--batch-size", "2")
    assert code == 0 and records is None
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["overlays"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch-size", "0"], "--batch-size 0 must be at least 1"),
        (["--no-json", "--no-overlays"], "leave nothing to write"),
        (["--score-thr", "30"], "--score-thr 30.0 must lie between 0 and 1"),
        (["--config", "gone.py"], "gone.py is not a file"),
        (["gone.png"], "gone.png: no such file or folder"),
    ],
)
def test_wrong_arguments_end_before_the_model_is_loaded(
    checkpoint, images, tmp_path, capsys, monkeypatch, arguments, message
):
    monkeypatch.setattr("mmdet_embedmask.inference.demo_arguments.load_segmentor", None)
    with pytest.raises(SystemExit):
        run(checkpoint, tmp_path / "out", images[0], *arguments)
    assert message in capsys.readouterr().err


def test_an_input_that_a_result_would_replace_is_refused(
    checkpoint, images, tmp_path, capsys, monkeypatch
):
    """An earlier overlay, named as the input, before it would be read."""
    run(checkpoint, tmp_path / "out", images[0])
    earlier = tmp_path / "out" / "overlays" / "00000_a.png"
    before = earlier.read_bytes()
    monkeypatch.setattr("mmdet_embedmask.inference.demo_arguments.load_segmentor", None)
    with pytest.raises(SystemExit):
        run(checkpoint, tmp_path / "out", images[2], earlier)
    message = "out/overlays/00000_a.png would be replaced by a result: give another --out"
    assert message in capsys.readouterr().err and earlier.read_bytes() == before
    monkeypatch.undo()
    run(checkpoint, tmp_path / "out", images[2], earlier, "--no-overlays")
    assert earlier.read_bytes() == before


def test_a_checkpoint_without_config_says_what_to_give(images, tmp_path, capsys):
    import torch

    torch.save(dict(state_dict={}, meta={}), tmp_path / "bare.pth")
    with pytest.raises(SystemExit):
        run(tmp_path / "bare.pth", tmp_path / "out", images[0])
    assert "Give the config that it was trained with (with --config)" in capsys.readouterr().err


@pytest.mark.slow
def test_started_by_a_user_it_tells_progress_and_writes_predictions(checkpoint, images, tmp_path):
    command = [sys.executable, ROOT / "tools" / "image_demo.py", checkpoint]
    result = subprocess.run(
        [*command, f"{images[0].parent}/*.png", "--out", tmp_path / "out", "--device", "cpu"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert "2/2" in result.stderr and "2 images" in result.stdout
    assert len(json.loads((tmp_path / "out" / "predictions.json").read_text())) == 2
