"""Time and memory of training steps on generated ground truth."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.model import BaseModel
from mmengine.optim import AmpOptimWrapper, OptimWrapper, build_optim_wrapper
from mmengine.structures import InstanceData
from torch import nn

from ..loading import quiet_logger
from .clocks import Clock, clock_for, milliseconds
from .detectors import load_detector_config
from .machine import Device
from .peak_memory import in_new_process, peak_of, with_threads
from .turns import take_turns

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


LOSS_SCALE = 1.0
"""Of mixed precision at the start. MMEngine's own, 65536, makes untrained detectors' gradients
overflow, and an optimizer that skips its step is not what is timed. Weights do not move, so that
nothing is lost if a gradient vanishes."""


@dataclass(frozen=True)
class TrainingSpec:
    """A detector and how it is trained.

    Args:
        config: a file, or 'mmdet::' and a config of MMDetection.
        cfg_options: settings that replace the config's.
        device: that it runs on.
        amp: in mixed precision: on a GPU by MMEngine's AmpOptimWrapper, whose gradients are those
            of a scaled loss, on the CPU in bfloat16, which needs no scaling.
    """

    config: str
    cfg_options: dict[str, Any] = field(default_factory=dict)
    device: Device = "cpu"
    amp: bool = False


class CpuAmpOptimWrapper(OptimWrapper):
    """What AmpOptimWrapper, which asks for a GPU, would be on the CPU."""

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Within, the model computes in bfloat16 where torch does so."""
        with super().optim_context(model), torch.autocast("cpu", torch.bfloat16):
            yield


class Trainer:
    """A detector that takes training steps on one batch, by its config's optimizer.

    Args:
        spec: the detector.
        batch: what it learns from.

    Raises:
        ValueError: if the config has no detector.
    """

    def __init__(self, spec: TrainingSpec, batch: TrainingBatch) -> None:
        loaded = load_detector_config(spec.config, cfg_options=spec.cfg_options)
        loaded.model.backbone.init_cfg = None
        torch.manual_seed(0)
        # The optimizer too: it warns of every frozen parameter.
        with quiet_logger(logging.ERROR):
            self.model: BaseModel = MODELS.build(loaded.model)
            self.model.init_weights()
            self.model.to(spec.device).train()
            if spec.amp:
                wrapper = CpuAmpOptimWrapper if spec.device == "cpu" else AmpOptimWrapper
                loaded.optim_wrapper.type = wrapper
                if spec.device != "cpu":
                    loaded.optim_wrapper.loss_scale = dict(init_scale=LOSS_SCALE)
            self.optimizer: OptimWrapper = build_optim_wrapper(self.model, loaded.optim_wrapper)
        # Weights stay as they are: every step does the same work.
        for group in self.optimizer.optimizer.param_groups:
            group["lr"] = 0.0
        # A region proposal network has one class; the heads that follow it have all.
        heads = (m for m in self.model.modules() if hasattr(m, "num_classes"))
        self.batch = batch.make(num_classes=max(head.num_classes for head in heads))

    def step(self) -> None:
        """One iteration: losses, gradients and the optimizer's step.

        Raises:
            ValueError: if a loss is not finite, or gradients of half precision overflow.
        """
        # The data preprocessor pads masks in place.
        samples = [sample.clone() for sample in self.batch["data_samples"]]
        scaler = getattr(self.optimizer, "loss_scaler", None)
        scale = scaler.get_scale() if scaler else 0.0
        losses = self.model.train_step(dict(self.batch, data_samples=samples), self.optimizer)
        if scaler and scaler.get_scale() < scale:
            raise ValueError(
                f"gradients of {type(self.model).__name__} overflow: no step was taken"
            )
        for name, value in losses.items():
            if not torch.as_tensor(value).isfinite().all():
                raise ValueError(f"{name} of {type(self.model).__name__} is {value}")

    def two_steps(self) -> None:
        """Two iterations: the second has the optimizer's state beside its gradients."""
        self.step()
        self.step()


def time_training(
    specs: Sequence[TrainingSpec],
    batch: TrainingBatch,
    runs: int,
    warmup: int,
    *,
    clock: Clock | None = None,
) -> list[list[float]]:
    """Seconds of every iteration of every detector; they run in turns.

    Args:
        specs: of the detectors, all on one device.
        batch: what they learn from.
        runs: measured iterations of each.
        warmup: iterations of each before those.
        clock: takes the times; None: the device's.
    """
    trainers = [Trainer(spec, batch) for spec in specs]
    clock = clock or clock_for(torch.device(specs[0].device))
    steps = {
        str(index): partial(training_seconds, trainer, clock)
        for index, trainer in enumerate(trainers)
    }
    return list(take_turns(steps, runs, warmup).values())


def training_seconds(trainer: Trainer, clock: Clock) -> float:
    """How long one iteration takes."""
    return milliseconds(trainer.step, clock) / 1000


def training_memory(spec: TrainingSpec, batch: TrainingBatch, threads: int) -> int:
    """Peak bytes of two iterations beyond model and batch.

    On the CPU resident, in a new process; on a GPU what torch has allocated there, in this one.

    Args:
        spec: the detector.
        batch: what it learns from.
        threads: CPU threads of torch; on a GPU they stay as they are.
    """
    if spec.device != "cpu":
        return peak_of(Trainer(spec, batch).two_steps, on_gpu=True)
    return in_new_process(with_threads, threads, _peak, spec, batch)


def _peak(spec: TrainingSpec, batch: TrainingBatch) -> int:
    return peak_of(Trainer(spec, batch).two_steps, on_gpu=False)
