"""Small data sets with one unusual or faulty part each, and a real run over them."""

import io
import json
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.runner import Runner
from numpy.typing import NDArray
from PIL import Image
from runs import build_runner, shapes_config
from tiny import model_cfg

SIZE = (48, 64)
"""(height, width) of images that are no case of their own."""
CLASSES = ("ellipse", "polygon", "ring")
"""Of the tiny config."""
PIXELS = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def encoded(pixels: NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def box_annotation(x: float, y: float, w: float, h: float, **changes: Any) -> dict[str, Any]:
    """A filled rectangle; `...` removes a key."""
    polygon = [float(v) for v in (x, y, x + w, y, x + w, y + h, x, y + h)]
    annotation = dict(
        id=1,
        image_id=1,
        category_id=1,
        bbox=[x, y, w, h],
        area=w * h,
        iscrowd=0,
        segmentation=[polygon],
    )
    return {key: value for key, value in (annotation | changes).items() if value is not ...}


def image_entry(name: str = "image.png", size: tuple[int, int] = SIZE, **changes: Any) -> dict:
    entry = dict(id=1, file_name=name, height=size[0], width=size[1])
    return {key: value for key, value in (entry | changes).items() if value is not ...}


def coco_content(entries: list[dict], instances: list[dict], **changes: Any) -> dict[str, Any]:
    """A file's content; `...` removes a key."""
    categories = [dict(id=label + 1, name=name) for label, name in enumerate(CLASSES)]
    content = dict(images=entries, annotations=instances, categories=categories) | changes
    return {key: value for key, value in content.items() if value is not ...}


def write_data(root: Path, files: dict[str, bytes], content: Any) -> Path:
    """Write images and annotation file (bytes as they are) where `shapes_config` looks for them."""
    (root / "train").mkdir(parents=True)
    (root / "annotations").mkdir()
    for name, file in files.items():
        (root / "train" / name).write_bytes(file)
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    (root / "annotations" / "instances_train.json").write_bytes(text)
    return root


def write_image(
    root: Path, name: str, file: bytes, size: tuple[int, int] = SIZE, **ann: Any
) -> Path:
    """A data set of one image with one rectangle, half as high and wide as the image."""
    height, width = size
    annotation = box_annotation(0, 0, max(width / 2, 1), max(height / 2, 1), **ann)
    return write_data(root, {name: file}, coco_content([image_entry(name, size)], [annotation]))


def run_config(root: Path, **options: Any) -> Config:
    """One iteration of training, then one validation, on the data below ``root``."""
    options = {"train_dataloader.batch_size": 1, "model.test_cfg.score_thr": 0.0} | options
    cfg = shapes_config(root, root / "work_dir", 1)
    cfg.model = model_cfg()
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.serialize_data = False
    cfg.default_hooks.checkpoint = None
    cfg.merge_from_dict(options)
    return cfg


def quick_runner(cfg: Config) -> Runner:
    """A runner of the config's parts, which does not write the config out, the slowest part."""
    build_runner.count += 1
    names = set(signature(Runner).parameters) & set(cfg) - {"cfg", "visualizer"}
    return Runner(
        **{name: cfg[name] for name in names}, experiment_name=f"test_{build_runner.count}"
    )


def log_text(root: Path) -> str:
    """What runs over the data below ``root`` have logged."""
    return "".join(path.read_text() for path in (root / "work_dir").rglob("*.log"))


def trained(root: Path, **options: Any) -> Runner:
    """A runner after its iteration and validation; its loss was finite."""
    runner = quick_runner(run_config(root, **options))
    runner.train()
    assert runner.iter == 1
    assert np.isfinite(runner.message_hub.get_scalar("train/loss").current())
    return runner


def training_sample(root: Path, index: int = 0, **options: Any) -> Any:
    """Image (H, W, 3) and ground truth as the training pipeline gives them, never flipped."""
    pipeline = [
        dict(type="LoadImageFromFile"),
        dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
        dict(type="PackDetInputs"),
    ]
    cfg = run_config(root, **options)
    cfg.train_dataloader.dataset.pipeline = pipeline
    packed = Runner.build_dataloader(cfg.train_dataloader).dataset[index]
    return packed["inputs"].permute(1, 2, 0).numpy(), packed["data_samples"]
