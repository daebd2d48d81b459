"""Tiny models and ground truth for the tests."""

from typing import Any

import numpy as np
import torch

# isort: off
# First, also in processes that a test starts: it puts the stand-in for compiled MMCV in place.
import mmdet_embedmask  # noqa: F401

# isort: on
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

NORM = dict(type="GN", num_groups=4)
CHANNELS = 16
STRIDES = (8, 16, 32, 64, 128)
PRIOR_MARGIN = 0.3
"""Untrained masks are then discs of about 30 pixels, and neither empty nor the whole image."""
TEST_CFG = dict(
    nms_pre=100,
    min_bbox_size=0,
    score_thr=0.0,
    nms=dict(type="nms", iou_threshold=0.6),
    max_per_img=10,
    mask_thr=0.5,
)


# Of every proposal head.
HEAD = dict(
    num_classes=3,
    in_channels=CHANNELS,
    feat_channels=CHANNELS,
    stacked_convs=1,
    embed_dim=5,
    prior_margin=PRIOR_MARGIN,
    norm_cfg=NORM,
)


def bbox_head_cfg(**options: Any) -> dict:
    return dict(
        type="EmbedMaskHead",
        **HEAD,
        strides=STRIDES,
    ) | dict(options)


def atss_head_cfg(**options: Any) -> dict:
    return dict(
        type="EmbedMaskATSSHead",
        **HEAD,
        anchor_generator=dict(
            type="AnchorGenerator",
            ratios=[1.0],
            octave_base_scale=8,
            scales_per_octave=1,
            strides=list(STRIDES),
        ),
        bbox_coder=dict(type="DeltaXYWHBBoxCoder", target_stds=[0.1, 0.1, 0.2, 0.2]),
        loss_bbox=dict(type="GIoULoss", loss_weight=2.0),
    ) | dict(options)


ATSS_TRAIN_CFG = ConfigDict(
    assigner=dict(type="ATSSAssigner", topk=9), allowed_border=-1, pos_weight=-1
)


def rtmdet_head_cfg(**options: Any) -> dict:
    return dict(
        type="EmbedMaskRTMDetHead",
        **HEAD,
        with_objectness=False,
        exp_on_reg=True,
        anchor_generator=dict(type="MlvlPointGenerator", offset=0, strides=list(STRIDES)),
        bbox_coder=dict(type="DistancePointBBoxCoder"),
        loss_cls=dict(type="QualityFocalLoss", use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_bbox=dict(type="GIoULoss", loss_weight=2.0),
    ) | dict(options)


RTMDET_TRAIN_CFG = ConfigDict(
    assigner=dict(type="DynamicSoftLabelAssigner", topk=13), allowed_border=-1, pos_weight=-1
)


# Table 2's system in small.
FUSED_BBOX_HEAD = dict(
    sample_in_mask=False, sampling_center="mask", mask_proposals="all", reduce_channels=8
)
FUSED_MASK_HEAD = dict(
    tower="fused",
    norm_cfg=dict(type="BN"),
    learnable_position_scale=False,
    upsample_mode="aligned",
    mask_target="point",
    mask_loss_mean="proposals",
    semantic_branch=dict(type="SemanticBranch", num_classes=3, feat_channels=8),
)


def mask_head_cfg(**options: Any) -> dict:
    return dict(
        type="PixelEmbedHead",
        in_channels=CHANNELS,
        feat_channels=CHANNELS,
        stacked_convs=1,
        embed_dim=5,
        norm_cfg=NORM,
    ) | dict(options)


def model_cfg(
    bbox_head: dict | None = None, mask_head: dict | None = None, test_cfg: dict | None = None
) -> ConfigDict:
    """A ResNet-18 detector of 16 channels, from scratch."""
    return ConfigDict(
        type="EmbedMask",
        data_preprocessor=dict(type="DetDataPreprocessor", pad_mask=True, pad_size_divisor=32),
        backbone=dict(
            type="ResNet",
            depth=18,
            base_channels=8,
            out_indices=(0, 1, 2, 3),
            norm_cfg=NORM,
            norm_eval=False,
        ),
        neck=dict(
            type="FPN",
            in_channels=[8, 16, 32, 64],
            out_channels=CHANNELS,
            start_level=1,
            add_extra_convs="on_output",
            num_outs=5,
            relu_before_extra_convs=True,
        ),
        bbox_head=bbox_head_cfg(**(bbox_head or {})),
        mask_head=mask_head_cfg(**(mask_head or {})),
        test_cfg=TEST_CFG | (test_cfg or {}),
    )


def build_model(**parts: dict) -> nn.Module:
    model = MODELS.build(model_cfg(**parts))
    model.init_weights()
    return model


def build_atss(**bbox_head: Any) -> nn.Module:
    cfg = model_cfg()
    cfg.bbox_head, cfg.train_cfg = atss_head_cfg(**bbox_head), ATSS_TRAIN_CFG
    model = MODELS.build(cfg)
    model.init_weights()
    return model


def build_rtmdet(**bbox_head: Any) -> nn.Module:
    cfg = model_cfg()
    cfg.bbox_head, cfg.train_cfg = rtmdet_head_cfg(**bbox_head), RTMDET_TRAIN_CFG
    model = MODELS.build(cfg)
    model.init_weights()
    return model


def fine_cfg(reads_p2: bool, mask_head: dict | None = None, **parts: dict) -> ConfigDict:
    """With a pixel embedding at stride 4."""
    cfg = model_cfg(mask_head=dict(stride=4, reads_p2=reads_p2) | (mask_head or {}), **parts)
    if reads_p2:
        cfg.neck.update(start_level=0, num_outs=6)
    return cfg


def build_fine(reads_p2: bool, **parts: dict) -> nn.Module:
    model = MODELS.build(fine_cfg(reads_p2, **parts))
    model.init_weights()
    return model


def build_system(name: str) -> nn.Module:
    """The systems of the paper's tables, and the coupling on other detectors."""
    if name == "fused":
        return build_model(bbox_head=FUSED_BBOX_HEAD, mask_head=FUSED_MASK_HEAD)
    if name == "atss":
        return build_atss()
    if name == "rtmdet":
        return build_rtmdet()
    if name in ("stride 4", "P2"):
        return build_fine(reads_p2=name == "P2")
    if name == "fixed margin":
        return build_model(bbox_head=dict(learnable_margin=False))
    return build_model(bbox_head=dict(embedding=name), mask_head=dict(embedding=name))


SYSTEMS = (
    "fused",
    "atss",
    "rtmdet",
    "stride 4",
    "P2",
    "fixed margin",
    "spatial_aware",
    "spatial_free",
    "coord_conv",
)


def feature_levels(num_images: int = 2, size: tuple[int, int] = (128, 160)) -> tuple[Tensor, ...]:
    """Random neck outputs of a padded input of this size."""
    return tuple(
        torch.randn(num_images, CHANNELS, -(-size[0] // s), -(-size[1] // s)) for s in STRIDES
    )


def random_instances(
    count: int, size: tuple[int, int] = (128, 160), num_classes: int = 3, seed: int = 0
) -> InstanceData:
    """Boxes filled by their ellipse."""
    rng = np.random.default_rng(seed)
    height, width = size
    masks, boxes = np.zeros((count, height, width), np.uint8), np.zeros((count, 4), np.float32)
    ys, xs = np.mgrid[:height, :width] + 0.5
    for i in range(count):
        half = rng.uniform(0.2, 0.45, 2) * np.array([width, height])
        center = rng.uniform(half, np.array([width, height]) - half)
        boxes[i] = [*(center - half), *(center + half)]
        inside = ((xs - center[0]) / half[0]) ** 2 + ((ys - center[1]) / half[1]) ** 2
        masks[i] = inside <= 1
    return InstanceData(
        bboxes=torch.from_numpy(boxes),
        labels=torch.from_numpy(rng.integers(0, num_classes, count)),
        masks=BitmapMasks(masks, height, width),
    )


def data_batch(counts: list[int], size: tuple[int, int] = (128, 160)) -> dict[str, list]:
    """Images with this many instances, as a data loader gives them."""
    inputs, samples = [], []
    for index, count in enumerate(counts):
        generator = torch.Generator().manual_seed(index)
        inputs.append(torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8))
        sample = DetDataSample(
            metainfo=dict(img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0), img_id=index)
        )
        sample.gt_instances = random_instances(count, size, seed=index)
        sample.ignored_instances = random_instances(0, size)
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def views_of(batch: dict[str, list], *flips: str | None) -> dict[str, list]:
    """The batch once for every flip (None or a direction)."""
    inputs, samples = [], []
    for flip in flips:
        dims = dict(horizontal=[2], vertical=[1], diagonal=[1, 2]).get(flip, [])
        inputs.append([image.flip(dims) if dims else image for image in batch["inputs"]])
        flipped = [sample.clone() for sample in batch["data_samples"]]
        for sample in flipped:
            sample.set_metainfo(dict(flip=flip is not None, flip_direction=flip))
        samples.append(flipped)
    return dict(inputs=inputs, data_samples=samples)


def total_loss(model: nn.Module, batch: dict[str, list]) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of a raw batch, as the runner computes it, and its parts."""
    data = model.data_preprocessor(batch, training=True)
    losses = model(**data, mode="loss")
    return model.parse_losses(losses)[0], losses
