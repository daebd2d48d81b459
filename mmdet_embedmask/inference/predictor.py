"""Predictions for images that are already read."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from numpy.typing import NDArray

from ..inputs.images import config_class_names
from ..inputs.reading import ImageReader, split_pipeline
from ..loading import build_detector, is_embed_mask


class Predictor(Protocol):
    """Predicts instances; test-time augmentation or another runtime can be one too."""

    def __call__(self, images: Sequence[NDArray[Any]]) -> list[InstanceData]:
        """Predict a batch.

        Args:
            images: (H, W, 3) each, in blue, green, red; they may differ in size.

        Returns:
            ``bboxes``, ``scores``, ``labels`` and ``masks`` of each image, at its own size.
        """


@dataclass(frozen=True)
class PipelinePredictor:
    """The predictor of a model behind a pipeline.

    Args:
        model: an MMDetection detector, or a wrapper with its ``test_step``.
        pipeline: of ``dict(img=array, img_id=number)``, as `split_pipeline` gives it.
    """

    model: BaseModel
    pipeline: Compose

    @torch.no_grad()
    def __call__(self, images: Sequence[NDArray[Any]]) -> list[InstanceData]:
        """See `Predictor`."""
        inputs = [self.pipeline(dict(img=image, img_id=i)) for i, image in enumerate(images)]
        samples = self.model.test_step(pseudo_collate(inputs))
        return [sample.pred_instances.cpu() for sample in samples]


@dataclass(frozen=True)
class Segmentor:
    """A model that is ready for images.

    Args:
        read: reads image files as the model's pipeline wants them.
        predict: predicts what was read.
        class_names: name of every label.
    """

    read: ImageReader
    predict: Predictor
    class_names: tuple[str, ...]


def open_segmentor(config: Config, checkpoint: Path, device: str) -> Segmentor:
    """Build a config's model with a checkpoint's weights and what it needs to take images.

    Args:
        config: of any instance segmentor of MMDetection; not changed.
        checkpoint: its weights.
        device: where the model goes.

    Raises:
        ValueError: if the test pipeline does not read image files.
        RuntimeError: if the weights do not fit the model.
    """
    init_default_scope(config.get("default_scope", "mmdet"))
    read, pipeline = split_pipeline(config)
    names = config_class_names(config)
    model = build_detector(_with_run_lengths(config), checkpoint, device)
    return Segmentor(read, PipelinePredictor(model, pipeline), names)


def _with_run_lengths(config: Config) -> Config:
    """The config; unless told otherwise, an EmbedMask gives the same masks as run lengths.

    Results hold run lengths anyhow, and full-size bitmaps of 100 instances fill gigabytes.
    """
    if not is_embed_mask(config):
        return config
    config = deepcopy(config)
    config.model.test_cfg.setdefault("mask_format", "rle")
    return config
