"""Every config loads, says what method.md says, and builds."""

from pathlib import Path

import pytest
from mmdet.registry import MODELS
from mmengine.config import Config

from mmdet_embedmask.data.shapes import SHAPE_CLASSES

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "embedmask"
PUBLIC = sorted(
    path for path in CONFIGS.rglob("*.py") if path.parent.name not in ("_base_", "peers")
)


def load(name: str) -> Config:
    return Config.fromfile(CONFIGS / name)


@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path.stem)
def test_config_builds_and_registers_itself(path):
    cfg = Config.fromfile(path)
    assert cfg.custom_imports.imports == ["mmdet_embedmask"]
    assert dict(type="SetupCheckHook") in [dict(hook) for hook in cfg.custom_hooks]
    assert cfg.default_scope == "mmdet"
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model)
    assert type(model).__name__ == "EmbedMask"


def test_basenames_are_unique_as_mim_needs_them():
    names = [path.name for path in CONFIGS.rglob("*.py")]
    assert len(names) == len(set(names))


def test_table_1_r50():
    cfg = load("embedmask_r50_fpn_1x_coco.py")
    assert cfg.model.backbone.depth == 50 and cfg.model.backbone.style == "caffe"
    assert cfg.model.backbone.init_cfg.checkpoint == "open-mmlab://detectron/resnet50_caffe"
    assert cfg.model.backbone.frozen_stages == 1 and cfg.model.backbone.norm_eval
    assert cfg.model.data_preprocessor.mean == [102.9801, 115.9465, 122.7717]
    assert cfg.model.data_preprocessor.std == [1.0, 1.0, 1.0]
    assert not cfg.model.data_preprocessor.bgr_to_rgb
    assert cfg.model.test_cfg.mask_thr == 0.52
    assert cfg.model.test_cfg.nms.iou_threshold == 0.6
    assert cfg.model.bbox_head.embed_dim == cfg.model.mask_head.embed_dim == 16
    assert cfg.train_cfg.max_iters == 90000
    assert cfg.auto_scale_lr.base_batch_size == 16
    warmup, steps = cfg.param_scheduler
    assert warmup.factor == pytest.approx(1 / 3) and warmup.end == 500
    assert steps.milestones == [60000, 80000] and steps.gamma == 0.1
    assert not any(scheduler.by_epoch for scheduler in cfg.param_scheduler)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (0.01, 0.9, 1e-4)
    (resize,) = [t for t in cfg.train_dataloader.dataset.pipeline if "Resize" in t.type]
    assert tuple(resize.scale) == (1333, 800)
    assert cfg.test_evaluator.metric == ["bbox", "segm"]


def test_table_1_r101():
    cfg = load("embedmask_r101_fpn_ms-3x_coco.py")
    assert cfg.model.backbone.depth == 101
    assert cfg.model.backbone.init_cfg.checkpoint == "open-mmlab://detectron/resnet101_caffe"
    assert cfg.model.test_cfg.mask_thr == 0.53
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[1].end == 270000
    assert cfg.param_scheduler[1].milestones == [210000, 250000]
    (resize,) = [t for t in cfg.train_dataloader.dataset.pipeline if "Resize" in t.type]
    assert resize.type == "RandomResize" and resize.scale == [(1333, 640), (1333, 800)]


def test_every_bias_learns_at_twice_the_rate_without_decay():
    from mmengine.optim import build_optim_wrapper

    cfg = load("embedmask_r50_fpn_1x_coco.py")
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    seen = 0
    for group in wrapper.optimizer.param_groups:
        for parameter in group["params"]:
            bias = names[id(parameter)].endswith("bias")
            seen += bias and ".gn." in names[id(parameter)]
            assert group["lr"] == (0.02 if bias else 0.01)
            assert group["weight_decay"] == (0.0 if bias else 1e-4)
    assert seen == 12  # GroupNorm's biases count too, as in the released program


def test_shapes_config_names_the_demos_classes():
    cfg = load("embedmask_tiny_shapes.py")
    makefile = (CONFIGS.parents[1] / "Makefile").read_text()
    classes = tuple(makefile.split("--classes ")[1].splitlines()[0].split())
    assert set(classes) <= set(SHAPE_CLASSES)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert tuple(loader.dataset.metainfo.classes) == classes
    assert cfg.model.bbox_head.num_classes == len(classes)


def test_the_peer_differs_from_the_nuclei_config_in_its_heads_alone():
    ours, peer = load("embedmask_r18_fpn_dsb2018.py"), load("peers/condinst_r18_fpn_dsb2018.py")
    for key in ours:
        if key not in ("model", "custom_hooks"):
            assert ours[key] == peer[key], key
    for key in ours.model:
        if key not in ("type", "bbox_head", "mask_head", "test_cfg"):
            assert ours.model[key] == peer.model[key], key
