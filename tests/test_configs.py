"""Every config loads, says what method.md says, and builds."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from mmcv.transforms import Compose
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import init_default_scope

from mmdet_embedmask.benchmark.ablation import changed_settings
from mmdet_embedmask.data.shape_drawing import SHAPE_CLASSES
from mmdet_embedmask.heads.detections import check_whole_image

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "embedmask"
PUBLIC = sorted(
    path for path in CONFIGS.rglob("*.py") if path.parent.name not in ("_base_", "peers")
)


def load(name: str) -> Config:
    return Config.fromfile(CONFIGS / name)


@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path.stem)
def test_a_config_builds_and_registers_itself(path):
    cfg = Config.fromfile(path)
    assert cfg.custom_imports.imports == ["mmdet_embedmask"]
    assert dict(type="SetupCheckHook") in [dict(hook) for hook in cfg.custom_hooks]
    assert cfg.default_scope == "mmdet"
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model)
    assert type(model).__name__ == "EmbedMask"


@pytest.mark.parametrize(
    "path", [*PUBLIC, *(CONFIGS / "peers").glob("*.py")], ids=lambda path: path.stem
)
def test_labels_follow_names_in_every_config(path):
    cfg = Config.fromfile(path)
    for split in ("train", "val", "test"):
        assert cfg[f"{split}_dataloader"].dataset.type == "CocoDatasetByName"
    assert cfg.val_evaluator.type == cfg.test_evaluator.type == "CocoMetricByName"
    # They are there, in MMDetection's own tools too.
    assert cfg.custom_imports.imports == ["mmdet_embedmask"]


def test_basenames_are_unique_as_mim_needs_them():
    names = [path.name for path in CONFIGS.rglob("*.py")]
    assert len(names) == len(set(names))


def test_the_plain_r50_config_is_the_recipe_of_table_1():
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


def test_the_plain_r101_config_is_the_recipe_of_table_1():
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


def test_the_shapes_config_names_the_demos_classes():
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


@pytest.mark.parametrize("size, channels", [("tiny", 96), ("s", 128), ("m", 192)])
def test_the_rtmdet_configs_are_the_recipes_of_rtmdet_ins(size, channels, tmp_path):
    ours = load(f"rtmdet/embedmask_rtmdet_{size}_coco.py").to_dict()
    base = tmp_path / "base.py"
    base.write_text(f'_base_ = "mmdet::rtmdet/rtmdet-ins_{size}_8xb32-300e_coco.py"')
    theirs = Config.fromfile(base).to_dict()
    boxes = get_config(f"mmdet::rtmdet/rtmdet_{size}_8xb32-300e_coco.py").model.bbox_head
    model, peer = ours.pop("model"), theirs.pop("model")
    head, pixels = model.pop("bbox_head"), model.pop("mask_head")
    peer_head, thr = peer.pop("bbox_head"), peer["test_cfg"].pop("mask_thr_binary")
    assert changed_settings(peer, model) == {
        "type": "EmbedMask",
        "data_preprocessor.pad_mask": True,
        "data_preprocessor.pad_size_divisor": 32,
        "test_cfg.mask_thr": thr,
    }
    for key in set(head) & set(peer_head) - {"type"}:
        assert head[key] == peer_head[key], key
    assert head["exp_on_reg"] == boxes.exp_on_reg
    assert (head["coupling_unit"], head["mask_proposals"]) == ("level", "all")
    assert pixels["mask_loss_mean"] == "proposals" and pixels["loss_mask"]["loss_weight"] == 1.0
    for part in (head, pixels):
        assert part["in_channels"] == part["feat_channels"] == channels
    assert ours["tta_model"].pop("type") == "EmbedMaskTTAModel"
    assert theirs["tta_model"].pop("type") == "DetTTAModel"
    hooks = theirs.pop("custom_hooks")
    assert ours.pop("custom_hooks") == [*hooks, dict(type="SetupCheckHook")]
    changed = changed_settings(theirs, ours)
    assert changed.pop("auto_scale_lr.base_batch_size") == 8 * 32
    assert changed.pop("default_hooks.checkpoint.type") == "AtomicCheckpointHook"
    test_pipelines = {f"{split}_dataloader.dataset.pipeline" for split in ("val", "test")}
    test_pipelines |= {"test_pipeline", "tta_pipeline"}
    assert test_pipelines <= set(changed)
    names = {f"{split}_dataloader.dataset.type" for split in ("train", "val", "test")}
    names |= {f"{split}_evaluator.type" for split in ("val", "test")}
    ours_alone = {
        key for key in changed if key.startswith(("custom_imports.", "rtmdet_", "channels"))
    }
    assert set(changed) == test_pipelines | names | ours_alone


@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path.stem)
def test_the_image_of_a_prediction_is_the_whole_original_one(path, tmp_path):
    init_default_scope("mmdet")
    cfg = Config.fromfile(path)
    image = tmp_path / "wide.png"
    cv2.imwrite(str(image), np.zeros((60, 90, 3), np.uint8))
    loaded = dict(img_path=str(image), img_id=1, height=60, width=90, instances=[])
    sample = Compose(cfg.test_dataloader.dataset.pipeline)(dict(loaded))["data_samples"]
    views = Compose(cfg.tta_pipeline)(dict(loaded))["data_samples"]
    assert len(views) >= 2
    for each in (sample, *views):
        assert each.ori_shape == (60, 90)
        check_whole_image(each.metainfo)


def test_the_peer_on_rtmdet_differs_in_its_head_alone():
    ours = load("rtmdet/embedmask_rtmdet_s_dsb2018.py")
    peer = load("peers/rtmdet-ins_s_dsb2018.py")
    for key in ours:
        if key not in ("model", "custom_hooks"):
            assert ours[key] == peer[key], key
    assert set(ours.model) - set(peer.model) == {"mask_head"}
    for key in ("data_preprocessor", "train_cfg"):
        assert ours.model[key] == peer.model[key], key
    # P2 is our pixel head's.
    assert changed_settings(ours.model.backbone, peer.model.backbone) == {
        "out_indices": (2, 3, 4),
    }
    assert changed_settings(ours.model.neck, peer.model.neck) == {"in_channels": [128, 256, 512]}
    # All but the rule that makes an image's masks.
    shared = ours.model.test_cfg.to_dict()
    assert (shared.pop("mask_thr"), shared.pop("mask_resize")) == (0.5, "aligned")
    assert changed_settings(shared, peer.model.test_cfg.to_dict()) == {"mask_thr_binary": 0.5}
    for key in set(ours.model.bbox_head) & set(peer.model.bbox_head) - {"type"}:
        assert ours.model.bbox_head[key] == peer.model.bbox_head[key], key


def test_the_fused_configs_are_the_recipe_of_table_2():
    r50 = load("embedmask_fused_r50_fpn_ms-1x_coco.py")
    r101 = load("embedmask_fused_r101_fpn_ms-3x_coco.py")
    for cfg, depth, iterations, steps in (
        (r50, 50, 90000, [60000, 80000]),
        (r101, 101, 270000, [210000, 250000]),
    ):
        assert cfg.model.backbone.depth == depth
        assert cfg.model.data_preprocessor.mean == [103.530, 116.280, 123.675]
        assert cfg.model.data_preprocessor.std == [1.0, 1.0, 1.0]
        assert cfg.train_cfg.max_iters == cfg.param_scheduler[1].end == iterations
        assert cfg.param_scheduler[1].milestones == steps
        assert cfg.param_scheduler[0].start_factor == 0.001 and cfg.param_scheduler[0].end == 1000
        assert cfg.optim_wrapper.paramwise_cfg.to_dict() == dict(norm_decay_mult=0.0)
        assert [hook.type for hook in cfg.custom_hooks] == ["SetupCheckHook", "SyncBuffersHook"]
        (resize,) = [t for t in cfg.train_dataloader.dataset.pipeline if "Resize" in t.type]
        sides = [640, 672, 704, 736, 768, 800]
        assert resize.type == "RandomChoiceResize"
        assert [tuple(scale) for scale in resize.scales] == [(1333, side) for side in sides]
        assert cfg.model.test_cfg.mask_thr == 0.5 and cfg.model.test_cfg.score == "sqrt"
        assert cfg.model.bbox_head.max_mask_proposals == 500


@pytest.mark.parametrize("name", ["embedmask_r50_fpn_1x_coco", "embedmask_r101_fpn_ms-3x_coco"])
def test_released_weights_of_the_plain_program_change_this_and_nothing_else(name):
    ours, released = load(f"{name}.py").to_dict(), load(f"released/{name}_released.py").to_dict()
    assert changed_settings(ours.pop("model"), released.pop("model")) == {
        "mask_head.upsample": "embedding",
        "test_cfg.crop_to_box": True,
        "test_cfg.inclusive_boxes": True,
        "test_cfg.min_bbox_size": -1,
    }
    assert ours == released


def test_released_fused_weights_without_1x1_convolutions_change_this_and_nothing_else():
    ours = load("embedmask_fused_r50_fpn_ms-1x_coco.py").to_dict()
    conv3 = load("released/embedmask_fused-conv3_r50_fpn_ms-1x_coco.py").to_dict()
    assert changed_settings(ours.pop("model"), conv3.pop("model")) == {
        "bbox_head.reduce_channels": None
    }
    assert ours == conv3


@pytest.mark.parametrize(
    "name", ["embedmask_r50_fpn_1x_coco.py", "embedmask_fused_r101_fpn_ms-3x_coco.py"]
)
def test_the_backbone_of_msra_weights_halves_the_size_in_1x1_convolutions(name):
    cfg = load(name)
    cfg.model.backbone.init_cfg = None
    backbone = MODELS.build(cfg.model.backbone)
    for stage, stride in ((1, 1), (2, 2), (3, 2), (4, 2)):
        block = getattr(backbone, f"layer{stage}")[0]
        assert block.conv1.kernel_size == (1, 1) and block.conv1.stride == (stride, stride)
        assert block.conv2.stride == (1, 1)
    assert backbone.bn1.eps == 1e-5 and not backbone.bn1.weight.requires_grad


def test_the_fused_nuclei_config_has_every_setting_of_the_fused_coco_config():
    coco = load("embedmask_fused_r50_fpn_ms-1x_coco.py").model
    nuclei = load("embedmask_fused_r18_fpn_dsb2018.py").model
    plain = load("embedmask_r50_fpn_1x_coco.py").model
    assert coco.mask_head.semantic_branch.num_classes == coco.bbox_head.num_classes == 80
    assert nuclei.mask_head.semantic_branch.num_classes == nuclei.bbox_head.num_classes == 1
    for part in ("bbox_head", "mask_head", "test_cfg"):
        for key, value in coco[part].items():
            if plain[part].get(key) != value and key != "semantic_branch":
                assert nuclei[part][key] == value, (part, key)


@pytest.mark.parametrize(
    "name, changed",
    [
        ("d4", {"bbox_head.embed_dim": 4, "mask_head.embed_dim": 4}),
        ("d8", {"bbox_head.embed_dim": 8, "mask_head.embed_dim": 8}),
        (
            "fixed-margin",
            {
                "bbox_head.embed_dim": 8,
                "mask_head.embed_dim": 8,
                "bbox_head.learnable_margin": False,
            },
        ),
        *(
            (
                option.replace("_", "-"),
                {"bbox_head.embedding": option, "mask_head.embedding": option},
            )
            for option in ("spatial_aware", "spatial_free", "coord_conv")
        ),
    ],
)
def test_a_row_of_table_3_changes_this_and_nothing_else(name, changed):
    base = load("embedmask_r50_fpn_1x_coco.py").to_dict()
    row = load(f"ablations/embedmask_r50_fpn_1x_coco_{name}.py").to_dict()
    assert changed_settings(base.pop("model"), row.pop("model")) == changed
    assert base == row


def test_the_metafile_has_the_papers_figures():
    metafile = yaml.safe_load((CONFIGS / "metafile.yml").read_text())
    models = {model["Name"]: model for model in metafile["Models"]}
    test_dev = {
        name: model["Results"][1]["Metrics"]
        for name, model in models.items()
        if model.get("Results", [{"Dataset": None}])[0]["Dataset"] == "COCO test-dev"
    }
    assert {name: list(metrics.values()) for name, metrics in test_dev.items()} == {
        "embedmask_r50_fpn_1x_coco": [34.8, 55.1, 37.4, 15.5, 37.4, 49.4],
        "embedmask_r101_fpn_ms-3x_coco": [38.3, 59.3, 41.2, 18.1, 40.8, 53.9],
        "embedmask_fused_r50_fpn_ms-1x_coco": [36.3, 57.0, 39.0, 18.3, 39.0, 49.0],
        "embedmask_fused_r101_fpn_ms-3x_coco": [40.0, 61.6, 43.0, 21.1, 43.1, 53.6],
    }
