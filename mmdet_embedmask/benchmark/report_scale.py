"""What the GPU report measures: its detectors, and how large, how often."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .training_steps import TrainingBatch

EMBED_MASK, FUSED, BOXES_ALONE, COND_INST = "EmbedMask", "EmbedMask fused", "FCOS", "CondInst"


@dataclass(frozen=True)
class Detector:
    """One of the detectors.

    Args:
        name: in the tables.
        config: a file, or 'mmdet::' and a config of MMDetection.
        small: settings that make it small.
    """

    name: str
    config: str
    small: dict[str, Any]


SMALL_RESNET = {
    "model.backbone.depth": 18,
    "model.backbone.base_channels": 32,
    "model.neck.in_channels": [32, 64, 128, 256],
}
SMALL_CSPNEXT = {
    "model.backbone.deepen_factor": 0.167,
    "model.backbone.widen_factor": 0.125,
    "model.neck.in_channels": [32, 64, 128],
    "model.neck.out_channels": 16,
    "model.bbox_head.in_channels": 16,
    "model.bbox_head.feat_channels": 16,
}


def detectors(configs: Path) -> tuple[Detector, ...]:
    """The detectors of docs/benchmark.md. FCOS is first: the others are given as multiples of it.

    Args:
        configs: the folder of EmbedMask's.
    """
    return (
        Detector(
            BOXES_ALONE,
            "mmdet::fcos/fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco.py",
            SMALL_RESNET,
        ),
        Detector(EMBED_MASK, str(configs / "embedmask_r50_fpn_1x_coco.py"), SMALL_RESNET),
        Detector(
            FUSED,
            str(configs / "embedmask_fused_r50_fpn_ms-1x_coco.py"),
            SMALL_RESNET,
        ),
        Detector(
            COND_INST,
            "mmdet::condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py",
            SMALL_RESNET,
        ),
        Detector(
            "SOLOv2",
            "mmdet::solov2/solov2_r50_fpn_1x_coco.py",
            SMALL_RESNET
            | {"model.mask_head.stacked_convs": 1, "model.mask_head.feat_channels": 128},
        ),
        Detector(
            "Mask R-CNN",
            "mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py",
            SMALL_RESNET | {"model.roi_head.bbox_head.fc_out_channels": 64},
        ),
        Detector("RTMDet-Ins-m", "mmdet::rtmdet/rtmdet-ins_m_8xb32-300e_coco.py", SMALL_CSPNEXT),
        Detector(
            "EmbedMask RTMDet-m",
            str(configs / "rtmdet" / "embedmask_rtmdet_m_coco.py"),
            SMALL_CSPNEXT
            | {"model.mask_head.in_channels": 16, "model.mask_head.feat_channels": 16},
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large everything is, and how often it is measured.

    Args:
        size: (height, width) of images and of their masks.
        instances: that every detector finds in every image.
        batches: a small and a large number of images at once.
        prior_margin: of EmbedMask, so that untrained masks of the plain one have a usual size.
        areas: of the objects of the mask stage alone, as parts of the image.
        runs: measured runs of everything but training.
        warmup: runs before them.
        training: what training steps learn from.
        training_runs: measured steps.
        training_warmup: steps before them.
        copied: bytes of the copy that tells the bandwidth.
        product_side: of the square matrices whose product tells the speed.
        compile_backend: of torch.compile.
        small: whether the detectors are made small.
    """

    size: tuple[int, int] = (800, 1333)
    instances: int = 100
    batches: tuple[int, int] = (1, 8)
    prior_margin: float = 2.3
    areas: tuple[float, ...] = (0.04, 0.15)
    runs: int = 20
    warmup: int = 5
    training: TrainingBatch = field(default_factory=TrainingBatch)
    training_runs: int = 10
    training_warmup: int = 3
    copied: int = 2**29
    product_side: int = 4096
    compile_backend: str = "inductor"
    small: bool = False


FULL = Scale()

SMALL = Scale(
    size=(128, 160),
    instances=6,
    batches=(1, 2),
    prior_margin=1.4,
    runs=2,
    warmup=1,
    training=TrainingBatch(2, 4, (128, 160)),
    training_runs=2,
    training_warmup=1,
    copied=2**24,
    product_side=256,
    compile_backend="eager",
    small=True,
)

SMALL_IN_WORDS = (
    "Everything is small here, to see that it runs: images of 128 x 160 instead of 800 x 1333, 6 "
    "instances instead of 100, 1 and 2 images at once instead of 1 and 8, ResNet-18 of half the "
    "width instead of ResNet-50 and the other detectors cut likewise, 2 runs after 1 instead of 20 "
    "after 5, one CPU thread, and torch.compile traces without generating code. **These figures "
    "say nothing of how fast anything is at full size.**"
)
