"""The checkpoint that MMDetection's tools and DetInferencer use without any other file."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor

from ..options import check_num_classes
from ..version import __version__
from .checks import check_fits
from .errors import ConversionError
from .official import OfficialWeights

RELEASED_CONFIGS = {
    ("plain", False, 50): "released/embedmask_r50_fpn_1x_coco_released.py",
    ("plain", False, 101): "released/embedmask_r101_fpn_ms-3x_coco_released.py",
    ("fused", True, 50): "embedmask_fused_r50_fpn_ms-1x_coco.py",
    ("fused", True, 101): "embedmask_fused_r101_fpn_ms-3x_coco.py",
    ("fused", False, 50): "released/embedmask_fused-conv3_r50_fpn_ms-1x_coco.py",
}
"""Config below configs/embedmask by family, 1x1 convolutions in the proposal head, and depth."""

BUFFERS = "released_buffers"
"""Key in ``meta`` of what our network does not need and the authors' checkpoint had."""

META_KEYS = ("classes", "palette")
"""What is kept of a data set's ``metainfo``."""


def released_config(official: OfficialWeights) -> str:
    """The config whose recipe the weights were trained with.

    Raises:
        ConversionError: if there is none.
    """
    layout = official.layout
    key = official.family.name, layout.reduced, layout.depth
    if key not in RELEASED_CONFIGS:
        reduced = "with" if layout.reduced else "without"
        raise ConversionError(
            f"there is no config of a {official.family.name} network {reduced} 1x1 convolutions in "
            f"its proposal head whose backbone has {layout.blocks} blocks: derive one from "
            f"{', '.join(RELEASED_CONFIGS.values())} and give it with --config"
        )
    return RELEASED_CONFIGS[key]


def our_checkpoint(
    official: OfficialWeights, config: Config, config_name: str, sha256: str
) -> dict[str, Any]:
    """Convert, after a check that the config's network takes every weight and needs no other.

    Args:
        official: recognised weights.
        config: of the network and of its data set; goes into the checkpoint.
        config_name: for messages.
        sha256: of the file that the weights come from.

    Returns:
        ``state_dict`` and ``meta``.

    Raises:
        ConversionError: naming what does not fit.
    """
    check_fits(official.weights, official.family, _model_state(config), config_name)
    meta = dict(
        cfg=config.pretty_text,
        dataset_meta=_dataset_meta(config, config_name),
        family=official.family.name,
        source_sha256=sha256,
        mmdet_embedmask_version=__version__,
    )
    if official.skipped:
        meta[BUFFERS] = {name: value.clone() for name, value in official.skipped.items()}
    return dict(state_dict=official.state_dict(), meta=meta)


def _model_state(config: Config) -> dict[str, Tensor]:
    """Names and shapes of the config's network; nothing is allocated or downloaded."""
    init_default_scope(config.get("default_scope", "mmdet"))
    # Detectors write into the configs of their parts.
    model_cfg = deepcopy(config.model)
    model_cfg.backbone.init_cfg = None
    with torch.device("meta"):
        state: dict[str, Tensor] = MODELS.build(model_cfg).state_dict()
    return state


def _dataset_meta(config: Config, config_name: str) -> dict[str, Any]:
    """Classes and palette of the test data, in lower-case keys; the data need not be there."""
    dataset = config.test_dataloader.dataset.to_dict()
    metainfo = getattr(DATASETS.get(dataset["type"]), "METAINFO", {}) | dataset.get("metainfo", {})
    meta = {key.lower(): value for key, value in metainfo.items() if key.lower() in META_KEYS}
    if "classes" not in meta:
        raise ConversionError(
            f"the test data set of {config_name}, {dataset['type']}, names no classes: set "
            "metainfo=dict(classes=...)"
        )
    try:
        check_num_classes(config.model.bbox_head.num_classes, meta["classes"], dataset["type"])
    except ValueError as error:
        raise ConversionError(f"{config_name}: {error}") from error
    return meta


def released_buffers(checkpoint: dict[str, Any], official: OfficialWeights) -> dict[str, Tensor]:
    """What `our_checkpoint` kept of the authors' checkpoint, if this one was converted."""
    meta = checkpoint.get("meta")
    kept = meta.get(BUFFERS) if isinstance(meta, dict) else None
    if not isinstance(kept, dict):
        return {}
    return {n: kept[n] for n in official.family.skipped if isinstance(kept.get(n), Tensor)}


def default_config(folder: Path, official: OfficialWeights) -> Path:
    """The file of `released_config` below ``configs/embedmask``.

    Raises:
        ConversionError: if there is none, or the folder is not there.
    """
    path = folder / released_config(official)
    if not path.is_file():
        raise ConversionError(f"the config {path} is not there: give it with --config")
    return path
