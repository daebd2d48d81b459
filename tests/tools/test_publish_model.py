"""tools/publish_model.py on a checkpoint that carries weights, config and classes alone."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from demo_model import demo_config, save_checkpoint
from tool_module import load_tool
from zoo import add_to_zoo

ROOT = Path(__file__).resolve().parents[2]


def main(*args):
    load_tool("publish_model").main(list(map(str, args)))


def refused(capsys, *args):
    with pytest.raises(SystemExit) as error:
        main(*args)
    assert error.value.code == 2
    return capsys.readouterr().err


@pytest.fixture
def arguments(tmp_path):
    """All that a release of a converted checkpoint needs, but its metrics."""
    picture = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "image.png"), picture)
    config = add_to_zoo(tmp_path / "clone", "new/demo.py", demo_config())
    checkpoint = save_checkpoint(tmp_path / "demo.pth")
    options = ["--config", config, "--dataset", "toys val", "--image", tmp_path / "image.png"]
    return [checkpoint, tmp_path / "out", *options]


@pytest.fixture
def metrics(tmp_path):
    (tmp_path / "metrics.json").write_text('{"coco/segm_mAP": 0.3}')
    return ["--metrics", tmp_path / "metrics.json"]


def test_a_release_is_made_and_verified(arguments, metrics, tmp_path, capsys):
    main(*arguments, *metrics)
    printed = capsys.readouterr().out
    (folder,) = (tmp_path / "out").iterdir()
    assert f"{folder}: released. Check it with: python tools/publish_model.py" in printed
    assert "[demo](configs/embedmask/new/demo.py)" in printed and "| toys val |" in printed
    main("--verify", folder)
    printed = capsys.readouterr().out
    assert f"{folder}: verified. 10 detections; largest difference of a box 0.000 pix" in printed


@pytest.mark.slow
def test_a_release_is_made_where_no_scope_is_set(arguments, metrics, tmp_path):
    """In a process of its own, where no scope is set yet."""
    result = subprocess.run(
        [sys.executable, ROOT / "tools" / "publish_model.py", *arguments, *metrics],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    (folder,) = (tmp_path / "out").iterdir()
    assert f"{folder}: released." in result.stdout


@pytest.mark.parametrize("damage", ["metafile_entry.yml", "SHA256SUMS", "verification/input.png"])
def test_a_damaged_release_is_not_verified(arguments, metrics, tmp_path, damage):
    main(*arguments, *metrics)
    (folder,) = (tmp_path / "out").iterdir()
    (folder / damage).write_text("text")
    with pytest.raises(SystemExit, match=f"^not verified: {folder / damage} "):
        main("--verify", folder)


def test_a_converted_checkpoint_needs_metrics(arguments, capsys):
    message = refused(capsys, *arguments)
    assert "demo.pth names no iteration" in message and "with --metrics" in message


def test_a_config_that_is_not_the_models_is_refused(arguments, metrics, tmp_path, capsys):
    add_to_zoo(tmp_path / "clone", "new/demo.py", demo_config(max_per_img=7))
    message = refused(capsys, *arguments, *metrics)
    assert "configs/embedmask/new/demo.py is not the config of the checkpoint's model" in message
    assert "model.test_cfg.max_per_img is 7 in it and 10 in the checkpoint" in message


def test_a_config_outside_the_zoo_is_refused(arguments, metrics, tmp_path, capsys):
    (tmp_path / "mine.py").write_text(demo_config().pretty_text)
    message = refused(capsys, *arguments, *metrics, "--config", tmp_path / "mine.py")
    assert "mine.py does not lie in configs/embedmask/ of the repository" in message


@pytest.mark.parametrize(
    "options, message",
    [
        (["--dataset", "toys"], "checkpoint is missing: give CHECKPOINT OUT_DIR --config"),
        (["gone.pth", "out", "--config", "gone.py", "--dataset", "d"], "gone.pth is not a file"),
    ],
)
def test_missing_arguments_are_named(capsys, options, message):
    assert message in refused(capsys, *options)
