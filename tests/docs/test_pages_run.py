"""Pages whose commands are run, in their order and as they stand, in a copy of the project."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from doc_pages import ROOT, block_commands, blocks

from mmdet_embedmask.data.shape_scene import ShapesConfig, render_image

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path):
    """What a clone has, with data and results of its own."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    return tmp_path


def run(command, folder):
    """A command line of the docs in a shell, with this Python as `python`."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": path}
    result = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, f"{command}\n{result.stdout[-2000:]}{result.stderr[-3000:]}"
    return result.stdout + result.stderr


def test_every_command_of_the_tools_page_runs(project):
    page = ROOT / "docs" / "tools.md"
    (config,) = [block.text for block in blocks(page) if block.text.startswith("# configs/")]
    (project / config.split()[1]).write_text(config)
    for command in block_commands(page):
        run(command, project)
    tour = project / "work_dirs" / "tour"
    for made in ("sheet.png", "embeddings", "coupling", "worst/index.html", "sweep/sweep.json"):
        assert (tour / made).exists(), made
    (release,) = (tour / "release").iterdir()
    # docs/model_zoo.md's command, on what this page has made.
    assert "verified" in run(f"python tools/publish_model.py --verify {release}", project)


def annotate(folder, count):
    """Generated images with labelme's files: ellipses are cells, polygons debris."""
    folder.mkdir(parents=True)
    names, scene = (
        ("cell", "debris"),
        ShapesConfig(
            num_images=count,
            height=96,
            width=96,
            classes=("ellipse", "polygon"),
            objects=(1, 3),
            crowd_fraction=0.0,
        ),
    )
    for index in range(count):
        image, instances = render_image(np.random.default_rng(index), scene)
        shapes = []
        for instance in instances:
            mask = instance.mask.astype(np.uint8)
            contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            outline = max(contours, key=len)[:, 0]
            if len(outline) > 2:
                kind = dict(shape_type="polygon", group_id=None, flags={})
                shapes.append(dict(label=names[instance.label], points=outline.tolist(), **kind))
        cv2.imwrite(str(folder / f"plate_{index:02}.png"), image)
        content = dict(version="5.5.0", flags={}, shapes=shapes, imageData=None)
        content |= dict(imagePath=f"plate_{index:02}.png", imageHeight=96, imageWidth=96)
        (folder / f"plate_{index:02}.json").write_text(json.dumps(content))


def test_every_command_of_the_page_on_own_data_runs(project):
    """As it stands, but for 300 iterations of 4 images, of which 10 of 2 are enough here."""
    page = ROOT / "docs" / "own_data.md"
    annotate(project / "data" / "mine" / "images", 8)
    (config,) = [block.text for block in blocks(page) if block.language == "python"]
    name = re.match(r"# (configs/\S+)\n", config)[1]
    (project / name).write_text(
        config.replace("num_classes=2)", "num_classes=2), test_cfg=dict(score_thr=0.005)")
        + "\nmax_iters = 10\ntrain_cfg = dict(max_iters=10, val_interval=10)\n"
        + 'train_dataloader["batch_size"] = 2\n'
        + "default_hooks = dict(logger=dict(interval=1))\n"
    )
    for command in block_commands(page):
        run(command.replace("iter_300", "iter_10"), project)
    assert (project / "shown").exists() or list((project / "work_dirs" / "mine").rglob("shown"))
    predictions = project / "work_dirs" / "mine" / "demo" / "predictions.json"
    assert len(json.loads(predictions.read_text())) > 0
    assert len(list((project / "work_dirs" / "release").iterdir())) == 1
