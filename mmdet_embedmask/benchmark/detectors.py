"""Detectors and images to measure, from configs, with or without trained weights."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import cv2
import torch
from mmdet.models.detectors.single_stage_instance_seg import SingleStageInstanceSegmentor
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config, ConfigDict
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from torch import nn

from ..detector import load_config

MIN_SIZE = 32
"""Pixels: the backbone and P5 need as many."""


def load_detector_config(
    path: Path,
    base: type[nn.Module] = SingleStageInstanceSegmentor,
    cfg_options: dict[str, Any] | None = None,
) -> Config:
    """Read a config and see that its model can be measured.

    Args:
        path: the config file.
        base: class that the model must be or derive from.
        cfg_options: settings that replace the file's.

    Raises:
        ValueError: if the config has no model of this class.
    """
    config = load_config(path, cfg_options)
    init_default_scope(config.get("default_scope", "mmdet"))
    name = config.get("model", {}).get("type")
    model_class = MODELS.get(name) if isinstance(name, str) else name
    if not (isinstance(model_class, type) and issubclass(model_class, base)):
        raise ValueError(
            f"{path}: the model is of type {name!r}, not of a kind of {base.__name__}: name a "
            "config such as embedmask_r50_fpn_1x_coco.py"
        )
    return config


def fix_instances(config: Config, instances: int) -> None:
    """Let the model give the best ``instances`` candidates, whatever their scores and overlaps.

    Untrained models, and models of different quality, then have the same number of masks to make.
    Candidates stay limited by the config's ``nms_pre`` a level.

    Args:
        config: changed in place.
        instances: number of detections, at least 1.
    """
    config.model.test_cfg.update(
        score_thr=0.0,
        max_per_img=instances,
        min_bbox_size=-1,
        nms=ConfigDict(type="nms", iou_threshold=1.0),
    )


def random_image(height: int, width: int, seed: int = 0) -> dict[str, list[Any]]:
    """A batch of one image of noise, as a test data loader gives it."""
    generator = torch.Generator().manual_seed(seed)
    size = (height, width)
    image = torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8)
    meta = dict(img_id=0, img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0))
    return dict(inputs=[image], data_samples=[DetDataSample(metainfo=meta)])


def image_from_file(config: Config, path: Path) -> dict[str, list[Any]]:
    """A batch of one image, loaded and resized by the config's test pipeline.

    Raises:
        ValueError: if the file is no image.
    """
    if not cv2.haveImageReader(str(path)):
        raise ValueError(f"{path} is not an image that OpenCV reads: name a .jpg or .png file")
    pipeline = Compose(get_test_pipeline_cfg(deepcopy(config)))
    packed = pipeline(dict(img_path=str(path), img_id=0))
    return {key: [value] for key, value in packed.items()}
