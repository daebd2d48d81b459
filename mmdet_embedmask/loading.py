"""A detector from its config and a checkpoint, for the tools that use a trained model."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader, load_checkpoint

from .embed_mask import EmbedMask


def load_config(path: Path, options: dict[str, Any] | None = None) -> Config:
    """Read a config file, changed by ``--cfg-options``."""
    config = Config.fromfile(path)
    config.merge_from_dict(options or {})
    return config


def checkpoint_config(checkpoint: Path, options: dict[str, Any] | None = None) -> Config:
    """Read the config that a checkpoint of MMEngine's runner or of `publish_model` carries.

    The config is Python, and reading it runs it: take checkpoints from those you trust
    (SECURITY.md).

    Args:
        checkpoint: a file.
        options: changes, as ``--cfg-options``.

    Raises:
        ValueError: if the checkpoint carries none.
    """
    loaded = CheckpointLoader.load_checkpoint(str(checkpoint), map_location="cpu")
    text = loaded.get("meta", {}).get("cfg")
    if not text:
        raise ValueError(
            f"{checkpoint} carries no config: it was not saved by MMEngine's runner. Give the "
            "config that it was trained with"
        )
    config = Config.fromstring(text, file_format=".py")
    config.merge_from_dict(options or {})
    return config


def build_detector(
    config: Config, checkpoint: Path | None, device: torch.device | str
) -> BaseModel:
    """Build a detector in eval mode; nothing is downloaded.

    Args:
        config: with a ``model``; not changed.
        checkpoint: trained weights; None: weights as they are before training.
        device: where the model goes.

    Raises:
        RuntimeError: naming the weights that the checkpoint lacks or has beyond the model's.
    """
    # Detectors write into the configs of their parts.
    init_default_scope(config.get("default_scope", "mmdet"))
    model_cfg = deepcopy(config.model)
    model_cfg.backbone.init_cfg = None
    with quiet_logger():
        model = MODELS.build(model_cfg)
        if checkpoint is None:
            model.init_weights()
        else:
            # Strictly: with MMEngine's default a wrong file leaves random weights behind.
            load_checkpoint(model, str(checkpoint), map_location="cpu", strict=True)
    return model.to(device).eval()


def is_embed_mask(config: Config) -> bool:
    """Whether the config's model is an EmbedMask, or derived from it."""
    kind = config.model.type
    model = MODELS.get(kind) if isinstance(kind, str) else kind
    return isinstance(model, type) and issubclass(model, EmbedMask)


@contextmanager
def quiet_logger(level: int = logging.WARNING) -> Iterator[None]:
    """Warnings only: MMEngine tells of the initialisation of every single parameter.

    Args:
        level: what is still told.
    """
    logger = MMLogger.get_current_instance()
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
