"""Small real runs of MMEngine's runner, for the tests."""

from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from mmdet_embedmask.data.shape_scene import ShapesConfig
from mmdet_embedmask.data.shapes import write_coco_shapes

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "embedmask"


def make_shapes(root: Path, num_images: int, size: int = 96, **options) -> Path:
    """The same generated images as training and as validation data."""
    classes = Config.fromfile(CONFIGS / "embedmask_tiny_shapes.py").classes
    shapes = ShapesConfig(
        num_images=num_images, height=size, width=size, classes=tuple(classes), **options
    )
    write_coco_shapes(root, "train", shapes)
    return root


def shapes_config(root: Path, work_dir: Path, max_iters: int, **options) -> Config:
    """The tiny shapes config on ``root``, in one process; ``options`` as --cfg-options."""
    cfg = Config.fromfile(CONFIGS / "embedmask_tiny_shapes.py")
    annotations = f"{root}/annotations/instances_train.json"
    # The configs' loaders share dictionaries: each gets its own values here.
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.update(
            data_root=str(root), ann_file=annotations, data_prefix=dict(img="train/")
        )
    cfg.merge_from_dict(
        {
            "work_dir": str(work_dir),
            "randomness.seed": 0,
            "train_cfg.max_iters": max_iters,
            "train_cfg.val_interval": max_iters,
            "train_dataloader.batch_size": 2,
            "val_evaluator.ann_file": annotations,
            "test_evaluator.ann_file": annotations,
            "default_hooks.checkpoint.max_keep_ckpts": -1,
            **options,
        }
    )
    return cfg


def build_runner(cfg: Config) -> Runner:
    """A runner of its own, whatever runs before it in this process."""
    cfg = cfg.copy()
    build_runner.count += 1
    cfg.experiment_name = f"test_{build_runner.count}"
    # MMDetection names all visualizers alike; the first run's would serve all others.
    cfg.visualizer.name = cfg.experiment_name
    return Runner.from_cfg(cfg)


build_runner.count = 0
