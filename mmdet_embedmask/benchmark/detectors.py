"""Detectors and images to measure, from configs, with or without trained weights."""

from copy import deepcopy
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import torch
import torch.nn.functional as F
from mmdet.models.detectors.base import BaseDetector
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from torch import nn

from ..loading import build_detector, load_config
from .clocks import clock_for
from .fixed_instances import candidate_threshold, keep_instances, set_score_thr
from .machine import Device
from .stages import Subject

MIN_SIZE = 32
"""Pixels: the backbone and P5 need as many, and multiples of it."""


@dataclass(frozen=True)
class ImageSpec:
    """The images that are measured on.

    Args:
        size: (height, width) of an image of noise.
        original_size: (height, width) of the masks; None: as large as the image.
        path: an image file instead, resized by the config's test pipeline.
        number: of images in the batch.
    """

    size: tuple[int, int] = (800, 1333)
    original_size: tuple[int, int] | None = None
    path: Path | None = None
    number: int = 1


@dataclass(frozen=True)
class DetectorSpec:
    """A detector and how it is run.

    Args:
        config: a file, or 'mmdet::' and a config of MMDetection.
        checkpoint: trained weights; None: untrained.
        cfg_options: settings that replace the config's.
        instances: that every image has; None: what the detector finds.
        run_lengths: masks as run lengths; EmbedMask makes them, masks of others are encoded.
        device: that it runs on.
        amp: run under autocast.
        channels_last: memory format of weights and images.
        compile: compile backbone, neck and heads with torch.compile.
        prior_margin: of EmbedMask's proposal head; None: the config's. The larger it is, the larger
            are the masks of an untrained network, and its time depends on that. Not where the
            coupling has a unit of its own: there they are discs of their level or box.
        compile_backend: of torch.compile.
    """

    config: str
    _: KW_ONLY
    checkpoint: Path | None = None
    cfg_options: dict[str, Any] = field(default_factory=dict)
    instances: int | None = None
    run_lengths: bool = False
    device: Device = "cpu"
    amp: bool = False
    channels_last: bool = False
    compile: bool = False
    prior_margin: float | None = None
    compile_backend: str = "inductor"

    @property
    def name(self) -> str:
        """The config's file name."""
        return Path(self.config).stem


def load_detector_config(
    path: Path | str,
    base: type[nn.Module] = BaseDetector,
    cfg_options: dict[str, Any] | None = None,
) -> Config:
    """Read a config and see that its model can be measured.

    Args:
        path: a file, or 'mmdet::' and a config of MMDetection.
        base: class that the model must be or derive from.
        cfg_options: settings that replace the file's.

    Raises:
        ValueError: if the config has no model of this class.
    """
    if "::" in str(path):
        config = get_config(str(path))
        config.merge_from_dict(cfg_options or {})
    else:
        config = load_config(Path(path), cfg_options)
    init_default_scope(config.get("default_scope", "mmdet"))
    name = config.get("model", {}).get("type")
    model_class = MODELS.get(name) if isinstance(name, str) else name
    if not (isinstance(model_class, type) and issubclass(model_class, base)):
        raise ValueError(
            f"{path}: the model is of type {name!r}, not of a kind of {base.__name__}: name a "
            "config such as embedmask_r50_fpn_1x_coco.py"
        )
    return config


def prepare(spec: DetectorSpec, image: ImageSpec, score_thr: float | None = None) -> Subject:
    """Build a detector and its images.

    Args:
        spec: the detector.
        image: what it runs on.
        score_thr: of a subject that was prepared before with the same number of instances. None: it
            is found, by two inferences.

    Raises:
        ValueError: if the config has no detector or the image cannot be read.
    """
    config = load_detector_config(spec.config, cfg_options=spec.cfg_options)
    if spec.instances:
        keep_instances(config, spec.instances)
    if config.model.type == "EmbedMask":
        if spec.run_lengths:
            config.model.test_cfg.mask_format = "rle"
        if spec.prior_margin is not None:
            config.model.bbox_head.prior_margin = spec.prior_margin
    images = load_images(config, image)
    torch.manual_seed(0)
    model = build_detector(config, spec.checkpoint, spec.device)
    data = model.data_preprocessor(images, training=False)
    # Some detectors leave padding to their pipelines.
    height, width = data["inputs"].shape[-2:]
    data["inputs"] = F.pad(data["inputs"], (0, -width % MIN_SIZE, 0, -height % MIN_SIZE))
    if spec.channels_last:
        model = model.to(memory_format=torch.channels_last)
        data["inputs"] = data["inputs"].contiguous(memory_format=torch.channels_last)
    if spec.instances and score_thr is None:
        # Rounded scores pass another threshold than exact ones.
        with torch.autocast(data["inputs"].device.type, enabled=spec.amp):
            score_thr = candidate_threshold(model, data, spec.instances)
    if score_thr is not None:
        set_score_thr(model, score_thr)
    if spec.compile:
        for name in ("backbone", "neck", "bbox_head", "mask_head", "rpn_head"):
            module = getattr(model, name, None)
            if module is not None:
                module.forward = torch.compile(module.forward, backend=spec.compile_backend)
    clock = clock_for(torch.device(spec.device))
    return Subject(
        spec.name,
        model,
        data,
        clock,
        amp=spec.amp,
        run_lengths=spec.run_lengths,
        score_thr=score_thr,
    )


def check_instances(subject: Subject, instances: int) -> None:
    """Check by one inference that a subject gives the wanted number of instances.

    Raises:
        ValueError: if it does not.
    """
    found = {len(sample.pred_instances) for sample in subject.predict()}
    if found != {instances}:
        raise ValueError(
            f"{subject.name} gives {sorted(found)} instances an image instead of {instances}: take "
            "fewer with --instances, or a larger image"
        )


def load_images(config: Config, image: ImageSpec) -> dict[str, list[Any]]:
    """A batch of images as a test data loader gives it.

    Raises:
        ValueError: if the file is no image.
    """
    if image.path is not None:
        batch = image_from_file(config, image.path)
    else:
        batch = random_image(*image.size, original_size=image.original_size)
    (pixels,), (sample,) = batch["inputs"], batch["data_samples"]
    number = range(image.number)
    return dict(inputs=[pixels for _ in number], data_samples=[sample.clone() for _ in number])


def random_image(
    height: int, width: int, seed: int = 0, original_size: tuple[int, int] | None = None
) -> dict[str, list[Any]]:
    """A batch of one image of noise, as a test data loader gives it.

    Args:
        height: of the network input in pixels.
        width: of the network input in pixels.
        seed: of the noise.
        original_size: (height, width) of the image before it was resized; None: it was not.
    """
    generator = torch.Generator().manual_seed(seed)
    size = (height, width)
    original = size if original_size is None else original_size
    image = torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8)
    factor = (width / original[1], height / original[0])
    meta = dict(
        img_id=0, img_shape=size, ori_shape=original, scale_factor=factor, batch_input_shape=size
    )
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
