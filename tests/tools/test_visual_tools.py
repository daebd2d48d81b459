"""The tools that draw: called in this process, and once each as a user runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from runs import make_shapes, shapes_config
from tool_module import load_tool

from mmdet_embedmask.visualization.style import GAP, HEADER_HEIGHT

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("embedding_view", "coupling_maps", "compare_checkpoints", "worst_cases")
FAST = ["--device", "cpu", "--tile", "160"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A config on two generated images and a checkpoint of random weights."""
    root = tmp_path_factory.mktemp("drawn")
    make_shapes(root / "shapes", 2, size=64)
    cfg = shapes_config(root / "shapes", root, 1, **{"model.test_cfg.score_thr": 0.0})
    cfg.model.backbone.base_channels = 8
    cfg.model.neck.in_channels = [8, 16, 32, 64]
    cfg.dump(root / "config.py")
    init_default_scope("mmdet")
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(root / "config.py").model)
    model.init_weights()
    torch.save(
        dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=cfg.classes))),
        root / "model.pth",
    )
    return root


def run(name, made, out, *options):
    pair = [made / "config.py", made / "model.pth"]
    models = pair * 2 if name == "compare_checkpoints" else pair
    load_tool(name).main([str(part) for part in (*models, out, *FAST, *options)])
    return sorted(path.name for path in out.glob("*.png"))


def test_embedding_view_draws_a_picture_for_every_image(made, tmp_path, capsys):
    folder = made / "shapes" / "train"
    files = run("embedding_view", made, tmp_path, "--images", folder, "--score-thr", "0")
    images = sorted(folder.iterdir())
    assert files == [f"{i:05d}_{path.stem}.png" for i, path in enumerate(images)]
    picture = cv2.imread(str(tmp_path / files[1]))
    assert picture.shape == (2 * HEADER_HEIGHT + 160 + 2 * GAP, 4 * 160 + 5 * GAP, 3)
    top = GAP + 2 * HEADER_HEIGHT
    shown = cv2.resize(picture[top : top + 160, GAP : GAP + 160], (64, 64))
    assert np.abs(shown.astype(int) - cv2.imread(str(images[1]))).mean() < 6
    printed = capsys.readouterr()
    assert "2 pictures" in printed.out and "2/2" in printed.err
    assert not list(tmp_path.glob("*.tmp"))


def test_coupling_maps_draws_the_chosen_instances(made, tmp_path, capsys):
    image = next((made / "shapes" / "train").iterdir())
    (file,) = run(
        "coupling_maps",
        made,
        tmp_path,
        "--images",
        image,
        "--score-thr",
        "0",
        "--instances",
        "1,3,0",
    )
    row = HEADER_HEIGHT + 160 + GAP
    assert cv2.imread(str(tmp_path / file)).shape == (
        2 * GAP + 3 * HEADER_HEIGHT + 3 * row,
        5 * 160 + 6 * GAP,
        3,
    )
    assert not run("coupling_maps", made, tmp_path / "none", "--images", image, "--score-thr", "1")
    assert "0 pictures; 1 images have none" in capsys.readouterr().out


def test_compare_checkpoints_writes_the_ious_of_both_and_pictures(made, tmp_path, capsys):
    annotations = made / "shapes" / "annotations" / "instances_train.json"
    coco = ["--coco", annotations, "--image-root", made / "shapes" / "train", "--score-thr", "0"]
    files = run("compare_checkpoints", made, tmp_path, *coco, "--names", "one", "two")
    assert len(files) == 2
    result = json.loads((tmp_path / "ious.json").read_text())
    for image in result["images"]:
        assert image["ious"]["one"] == image["ious"]["two"]  # the same weights twice
        assert image["mean_iou"]["one"] == pytest.approx(np.mean(image["ious"]["one"]))
    pooled = np.concatenate([image["ious"]["one"] for image in result["images"]])
    assert result["mean_iou_of_instances"]["two"] == pytest.approx(pooled.mean())
    truth = json.loads(annotations.read_text())["annotations"]
    assert len(pooled) == sum(not a["iscrowd"] for a in truth)
    assert f"one {pooled.mean():.3f}, two {pooled.mean():.3f}" in capsys.readouterr().out
    picture = cv2.imread(str(tmp_path / files[0]))
    left, right = (GAP + column * (160 + GAP) for column in (2, 3))
    top = GAP + 2 * HEADER_HEIGHT
    assert np.array_equal(
        picture[top : top + 160, left : left + 160], picture[top : top + 160, right : right + 160]
    )


def test_worst_cases_writes_a_ranking_and_a_page_in_its_order(made, tmp_path):
    run("worst_cases", made, tmp_path, "--score-thr", "0")
    ranking = json.loads((tmp_path / "ranking.json").read_text())["images"]
    assert len(ranking) == 2
    assert ranking[0]["lost"] >= ranking[1]["lost"]
    page = (tmp_path / "index.html").read_text()
    places = []
    for case in ranking:
        assert (
            cv2.imread(str(tmp_path / "pictures" / case["picture"])).shape[1] == 3 * 160 + 4 * GAP
        )
        assert cv2.imread(str(tmp_path / "thumbnails" / case["picture"])).shape[1] == 480
        assert case["lost"] == case["split"] + case["merged"] + case["missed"]
        places.append(page.index(f"pictures/{case['picture']}"))
        assert f"thumbnails/{case['picture']}" in page
    assert places == sorted(places)


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--images", "x", "--coco", "CONFIG"], "give one of them"),
        (["--coco", "nowhere.json"], "nowhere.json is not a file"),
        (["--coco", "CONFIG"], "--coco needs --image-root"),
        (["--image-root", "x"], "--image-root belongs to --coco"),
        (["--num", "0"], "--num 0 must be at least 1"),
        (["--score-thr", "2"], "--score-thr 2.0 must lie between 0 and 1"),
        (["--tile", "10"], "--tile 10 must be at least 160"),
    ],
)
def test_wrong_arguments_are_told(made, tmp_path, capsys, name, options, message):
    options = [str(made / "config.py") if option == "CONFIG" else option for option in options]
    with pytest.raises(SystemExit):
        run(name, made, tmp_path, *options)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "options", "message"),
    [
        ("sheet.png", ["--score-thr", "1.5"], "--score-thr 1.5 must lie between 0 and 1"),
        ("sheet.png", ["--num", "0"], "--num 0 must be at least 1"),
        ("sheet.png", ["--tile", "10"], "--tile 10 must be at least 160"),
        ("sheet.jpg", [], "sheet.jpg must end in .png"),
    ],
)
def test_a_sheets_wrong_arguments_are_refused(made, capsys, out, options, message):
    models = [str(made / "config.py"), str(made / "model.pth")]
    with pytest.raises(SystemExit):
        load_tool("picture_sheet").main([*models, out, *options])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", TOOLS)
def test_missing_files_are_named_before_anything_is_loaded(made, tmp_path, capsys, name):
    count = 4 if name == "compare_checkpoints" else 2
    with pytest.raises(SystemExit):
        load_tool(name).main([str(made / "config.py"), *["gone.pth"] * (count - 1), str(tmp_path)])
    assert "gone.pth is not a file" in capsys.readouterr().err
    (tmp_path / "out").write_text("")
    with pytest.raises(SystemExit):
        run(name, made, tmp_path / "out")
    assert "must be a folder to write into" in capsys.readouterr().err


def test_what_cannot_be_drawn_is_said_before_the_model_is_loaded(
    made, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("mmdet_embedmask.loading.load_checkpoint", None)

    def error(name, *options):
        with pytest.raises(SystemExit):
            run(name, made, tmp_path / "out", *options)
        return capsys.readouterr().err

    assert "there are no images in" in error("embedding_view", "--images", tmp_path)
    assert "--images has no ground truth" in error("worst_cases", "--images", tmp_path)
    gone = ["--cfg-options", "test_dataloader.dataset.ann_file=gone.json"]
    assert "give --images or --coco" in error("coupling_maps", *gone)
    assert "a class is not among the file's categories" in error(
        *["worst_cases", "--coco", made / "shapes" / "annotations" / "instances_train.json"],
        *[
            "--image-root",
            tmp_path,
            "--cfg-options",
            "test_dataloader.dataset.metainfo.classes=cat,",
        ],
    )
    same = ["--names", "A", "A"]
    assert "give two different names" in error("compare_checkpoints", *same)
    assert "'0' is neither a number" in error("coupling_maps", "--instances", "0")
    other = ["--cfg-options", "model.type=CondInst"]
    assert "model is CondInst: this tool looks inside EmbedMask alone" in error(
        "embedding_view", *other
    )


@pytest.mark.parametrize(
    ("text", "expected"), [("4", 4), ("0,7", [0, 7]), ("7,", [7]), ("3, 1", [3, 1])]
)
def test_instances_are_a_number_or_positions(text, expected):
    assert load_tool("coupling_maps").chosen_instances(text) == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", TOOLS)
def test_started_by_a_user_they_tell_progress_and_write_pictures(made, tmp_path, name):
    models = [made / "config.py", made / "model.pth"]
    models *= 2 if name == "compare_checkpoints" else 1
    result = subprocess.run(
        [sys.executable, ROOT / "tools" / f"{name}.py", *models, tmp_path, *FAST]
        + ["--score-thr", "0", "--num", "1"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert "1/1" in result.stderr and str(tmp_path) in result.stdout
    assert len(list(tmp_path.rglob("*.png"))) == (2 if name == "worst_cases" else 1)
