"""The commands as a user runs them: train, test, draw."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from runs import CONFIGS, make_shapes

ROOT = Path(__file__).resolve().parents[2]


def run(tool, *args, ok=True):
    result = subprocess.run(
        [sys.executable, str(ROOT / "tools" / tool), *map(str, args)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert (result.returncode == 0) == ok, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout + result.stderr


@pytest.mark.slow
def test_a_trained_model_is_resumed_tested_drawn_and_swept(tmp_path):
    root, work_dir = make_shapes(tmp_path / "shapes", 4, size=64), tmp_path / "run"
    config = CONFIGS / "embedmask_tiny_shapes.py"
    data = [
        f"{loader}.dataset.{key}={value}"
        for loader in ("train_dataloader", "val_dataloader", "test_dataloader")
        for key, value in {
            "data_root": root,
            "ann_file": f"{root}/annotations/instances_train.json",
            "data_prefix.img": "train/",
        }.items()
    ]
    data += [
        f"{e}.ann_file={root}/annotations/instances_train.json"
        for e in ("val_evaluator", "test_evaluator")
    ]
    length = ["train_cfg.max_iters=2", "train_cfg.val_interval=2", "train_dataloader.batch_size=2"]
    every = ["default_hooks.checkpoint.interval=1", "default_hooks.checkpoint.max_keep_ckpts=-1"]
    # Two iterations teach nothing: without a threshold there is something to evaluate.
    every += ["default_hooks.logger.interval=1", "model.test_cfg.score_thr=0.0"]
    options = ["--cfg-options", *data, *length, *every]

    output = run("train.py", config, "--work-dir", work_dir, "--auto-scale-lr", *options, ok=False)
    assert "auto_scale_lr" in output  # this config says nothing of its batch size
    output = run("train.py", config, "--work-dir", work_dir, *options)
    assert "Iter(train) [2/2]" in output and "eta" in output
    assert "coco/bbox_mAP" in output and "coco/segm_mAP" in output
    (work_dir / "iter_2.pth").unlink()
    resumed = run(
        "train.py", config, "--work-dir", work_dir, "--resume", work_dir / "iter_1.pth", *options
    )
    assert "resumed epoch: 0, iter: 1" in resumed

    results, shown = tmp_path / "results.pkl", tmp_path / "shown"
    test_options = ["--cfg-options", *data, "model.test_cfg.score_thr=0.0"]
    output = run(
        *["test.py", config, work_dir / "iter_2.pth", "--work-dir", work_dir],
        *["--out", results, "--show-dir", shown, *test_options],
    )
    assert output.count("Average Precision") == 12 and output.count("Average Recall") == 12
    predictions = pickle.loads(results.read_bytes())
    assert len(predictions) == 4
    instances = predictions[0]["pred_instances"]
    assert sorted(instances) == ["bboxes", "labels", "masks", "scores"]
    assert len(list(shown.rglob("*.png"))) == 4

    output = run(
        *["test.py", config, work_dir / "iter_2.pth", "--work-dir", work_dir, "--tta"],
        *test_options,
    )
    assert output.count("Average Precision") == 12

    sheet = tmp_path / "sheet.png"
    run("picture_sheet.py", config, work_dir / "iter_2.pth", sheet, "--num", "2", *test_options)
    height, width = cv2.imread(str(sheet)).shape[:2]
    assert width > 3 * 320 and height > 2 * 320

    sweep = tmp_path / "sweep"
    arguments = ["--out", sweep, "--thresholds", "0.6", "0.4"]
    output = run("threshold_sweep.py", config, work_dir / "iter_2.pth", *arguments, *test_options)
    assert "the config sets 0.5" in output
    written = json.loads((sweep / "sweep.json").read_text())
    assert written["thresholds"] == [0.4, 0.6] and len(written["results"]) == 2
    assert cv2.imread(str(sweep / "sweep.png")).shape == (600, 900, 3)


@pytest.mark.slow
def test_a_wrong_setup_stops_before_the_first_iteration(tmp_path):
    root = make_shapes(tmp_path / "shapes", 4, size=64)
    options = [
        f"train_dataloader.dataset.data_root={root}",
        "model.bbox_head.num_classes=7",
        "val_cfg=None",
        "val_dataloader=None",
        "val_evaluator=None",
    ]
    config = CONFIGS / "embedmask_tiny_shapes.py"
    output = run("train.py", config, "--work-dir", tmp_path, "--cfg-options", *options, ok=False)
    assert "bbox_head.num_classes=7, but CocoDatasetByName has 3 classes" in output
    assert "Iter(train)" not in output
