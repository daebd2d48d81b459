"""Time and memory of training steps on generated ground truth."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.structures import InstanceData
from tqdm import trange

from .detectors import load_detector_config
from .resident_memory import in_new_process, peak_of

EXTENTS = (0.05, 0.4)
"""Smallest and largest width and height of an object as a part of the image's; drawn so that small
ones are common, as in COCO."""


@dataclass(frozen=True)
class TrainingBatch:
    """What the steps learn from.

    Args:
        images: in the batch.
        instances: in every image.
        size: (height, width) of the images, multiples of 32.
    """

    images: int = 2
    instances: int = 60
    size: tuple[int, int] = (800, 1344)

    def make(self, num_classes: int) -> dict[str, list[Any]]:
        """The batch as a data loader gives it: noise, and ellipses as ground truth."""
        inputs, samples = [], []
        meta = dict(img_shape=self.size, ori_shape=self.size, scale_factor=(1.0, 1.0), img_id=0)
        for image in range(self.images):
            rng = np.random.default_rng(image)
            inputs.append(torch.from_numpy(rng.integers(0, 256, (3, *self.size), np.uint8)))
            sample = DetDataSample(metainfo=dict(meta))
            sample.gt_instances = self._instances(rng, self.instances, num_classes)
            sample.ignored_instances = self._instances(rng, 0, num_classes)
            samples.append(sample)
        return dict(inputs=inputs, data_samples=samples)

    def _instances(self, rng: np.random.Generator, number: int, num_classes: int) -> InstanceData:
        height, width = self.size
        low, high = np.log(EXTENTS)
        half = np.exp(rng.uniform(low, high, (number, 2))) / 2 * (width, height)
        centers = rng.uniform(half, np.array([width, height]) - half)
        y, x = np.ogrid[:height, :width]
        masks = np.zeros((number, height, width), np.uint8)
        for mask, (cx, cy), (rx, ry) in zip(masks, centers, half, strict=True):
            mask[((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1] = 1
        boxes = np.concatenate([centers - half, centers + half], 1).astype(np.float32)
        return InstanceData(
            bboxes=torch.from_numpy(boxes),
            labels=torch.from_numpy(rng.integers(0, num_classes, number)),
            masks=BitmapMasks(masks, height, width),
        )


class Trainer:
    """A detector that takes training steps on one batch, by its config's optimizer.

    Args:
        config: a file, or 'mmdet::' and a config of MMDetection.
        batch: what it learns from.

    Raises:
        ValueError: if the config has no detector.
    """

    def __init__(self, config: str, batch: TrainingBatch) -> None:
        loaded = load_detector_config(config)
        loaded.model.backbone.init_cfg = None
        torch.manual_seed(0)
        self.model: BaseModel = MODELS.build(loaded.model)
        self.model.init_weights()
        self.model.train()
        self.optimizer: OptimWrapper = build_optim_wrapper(self.model, loaded.optim_wrapper)
        # Weights stay as they are: every step does the same work.
        for group in self.optimizer.optimizer.param_groups:
            group["lr"] = 0.0
        # A region proposal network tells one class; the heads that follow it tell all.
        heads = (m for m in self.model.modules() if hasattr(m, "num_classes"))
        self.batch = batch.make(num_classes=max(head.num_classes for head in heads))

    def step(self) -> None:
        """One iteration: losses, gradients and the optimizer's step.

        Raises:
            ValueError: if a loss is not finite.
        """
        # The data preprocessor pads masks in place.
        samples = [sample.clone() for sample in self.batch["data_samples"]]
        losses = self.model.train_step(dict(self.batch, data_samples=samples), self.optimizer)
        for name, value in losses.items():
            if not torch.as_tensor(value).isfinite().all():
                raise ValueError(f"{name} of {type(self.model).__name__} is {value}")


def time_training(
    configs: Sequence[str],
    batch: TrainingBatch,
    runs: int,
    warmup: int,
    now: Callable[[], float] = time.perf_counter,
) -> list[list[float]]:
    """Seconds of every iteration of every detector; they run in turns.

    Args:
        configs: of the detectors.
        batch: what they learn from.
        runs: measured iterations of each.
        warmup: iterations of each before those.
        now: gives the time in seconds.
    """
    trainers = [Trainer(config, batch) for config in configs]
    times: list[list[float]] = [[] for _ in configs]
    for turn in trange(warmup + runs, unit="turn", disable=None):
        for index, trainer in enumerate(trainers):
            start = now()
            trainer.step()
            if turn >= warmup:
                times[index].append(now() - start)
    return times


def training_memory(config: str, batch: TrainingBatch, threads: int) -> int:
    """Peak resident bytes of two iterations in a new process, beyond model and batch."""
    return in_new_process(_peak, config, batch, threads)


def _peak(config: str, batch: TrainingBatch, threads: int) -> int:
    torch.set_num_threads(threads)
    trainer = Trainer(config, batch)

    def two_steps() -> None:
        trainer.step()
        trainer.step()

    return peak_of(two_steps)
