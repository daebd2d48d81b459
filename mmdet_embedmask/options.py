"""Checks of what users configure and feed; every message names both sides and the cure."""

from collections.abc import Sequence
from typing import Any, Literal, TypeVar, get_args

from .functional.geometry import P2_STRIDE, P3_STRIDE, SPATIAL_AWARE_DIM
from .functional.mask_prediction import MaskFormat
from .functional.resize import ResizeMode

T = TypeVar("T")

Embedding = Literal["both", "spatial_aware", "spatial_free", "coord_conv"]
"""What an embedding is made of (paper Table 3): both parts, one part alone, or both predicted from
coordinates as two more input channels instead of having the position added."""

Tower = Literal["plain", "fused"]
"""Of the pixel embedding: on P3, or on P3 to P5 (paper Table 2)."""

SamplingCenter = Literal["box", "mask"]
"""Positives lie around the middle of the box (plain) or the centroid of the mask (fused)."""

MaskProposals = Literal["best", "all"]
"""Which positives learn a mask: of each instance the one whose predicted box fits best (plain), or
all of them (fused)."""

MaskLossMean = Literal["images", "proposals"]
"""The mask loss is the mean over images of the mean over an image's proposals (plain), or the mean
over all proposals (fused)."""

Score = Literal["product", "sqrt"]
"""Of a detection: class times center-ness probability (plain), or its root (fused). It also says
which pairs are candidates: see `heads.detections.candidate_scores`."""

ClipBoxes = Literal["before_nms", "after_nms"]
"""When boxes are clipped to the image: before overlaps are suppressed (plain) or after (fused)."""

REQUIRED_TEST_CFG = ("nms_pre", "score_thr", "nms", "max_per_img", "mask_thr")
"""What ``model.test_cfg`` must say."""

OPTIONAL_TEST_CFG: dict[str, tuple[Any, ...]] = dict(
    min_bbox_size=(),
    score=get_args(Score),
    clip_boxes=get_args(ClipBoxes),
    inclusive_boxes=(False, True),
    crop_to_box=(False, True),
    mask_resize=get_args(ResizeMode),
    mask_format=get_args(MaskFormat),
)
"""What ``model.test_cfg`` may say, the default first; nothing: a number that MMDetection reads."""


def check_option(name: str, value: T, options: Sequence[T]) -> T:
    """Return ``value`` if it is one of the options.

    Raises:
        ValueError: if it is not.
    """
    if value not in options:
        raise ValueError(f"{name}={value!r} is unknown: choose one of {tuple(options)}")
    return value


def check_embed_dim(embed_dim: int) -> int:
    """Return ``embed_dim`` if it leaves at least one spatial-free channel.

    Raises:
        ValueError: if it does not.
    """
    if embed_dim <= SPATIAL_AWARE_DIM:
        raise ValueError(
            f"embed_dim={embed_dim} is too small: {SPATIAL_AWARE_DIM} channels are spatial-aware "
            f"and at least one is spatial-free, so take {SPATIAL_AWARE_DIM + 1} or more (16 is "
            "the default)"
        )
    return embed_dim


def check_positive(name: str, value: float) -> float:
    """Return ``value`` if it is greater than zero.

    Raises:
        ValueError: if it is not.
    """
    if not value > 0:
        raise ValueError(f"{name}={value!r} must be greater than zero")
    return value


def check_count(name: str, value: int) -> int:
    """Return ``value`` if it is a whole number of at least 1.

    Raises:
        ValueError: if it is not.
    """
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}={value!r} must be a whole number of at least 1")
    return value


def check_test_cfg(test_cfg: dict[str, Any]) -> None:
    """Check the keys of ``model.test_cfg`` and the values of those that are ours.

    Raises:
        ValueError: for an unknown key, a missing setting, an unknown choice, a threshold outside
            (0, 1) or a count below 1.
    """
    known = (*REQUIRED_TEST_CFG, *OPTIONAL_TEST_CFG)
    if unknown := set(test_cfg) - set(known):
        raise ValueError(f"test_cfg has unknown keys {sorted(unknown)}: choose from {known}")
    if missing := set(REQUIRED_TEST_CFG) - set(test_cfg):
        raise ValueError(f"test_cfg lacks {sorted(missing)}: see embedmask_r50-caffe_fpn.py")
    # MMDetection slices by them: -1 would drop the last one.
    for name in ("nms_pre", "max_per_img"):
        check_count(f"test_cfg.{name}", test_cfg[name])
    mask_thr = test_cfg["mask_thr"]
    if not 0 < mask_thr < 1:
        raise ValueError(
            f"test_cfg.mask_thr={mask_thr!r} must be a probability between 0 and 1 (the paper "
            "takes 0.52 for R-50 and 0.53 for R-101)"
        )
    for name, options in OPTIONAL_TEST_CFG.items():
        if options and name in test_cfg:
            check_option(f"test_cfg.{name}", test_cfg[name], options)


def check_heads_agree(bbox_head: Any, mask_head: Any) -> None:
    """Check that proposal head and pixel head can be coupled.

    Args:
        bbox_head: has ``embed_dim``, ``embedding``, ``num_classes`` and ``level_strides``.
        mask_head: has ``embed_dim``, ``embedding`` and ``semantic_branch``.

    Raises:
        ValueError: if they differ in embedding channels or parts, in the stride of the finest level
            or in the number of classes.
    """
    for name in ("embed_dim", "embedding"):
        if getattr(bbox_head, name) != getattr(mask_head, name):
            raise ValueError(
                f"bbox_head.{name}={getattr(bbox_head, name)!r} and mask_head.{name}="
                f"{getattr(mask_head, name)!r} differ: proposals and pixels are compared channel "
                "by channel, set both to the same"
            )
    if bbox_head.level_strides[0] != P3_STRIDE:
        raise ValueError(
            f"bbox_head's finest stride is {bbox_head.level_strides[0]}, but pixels are embedded "
            f"on P3, of stride {P3_STRIDE}: let the neck begin there (start_level=1 of a "
            "ResNet's four levels) and the strides of bbox_head too"
        )
    branch = mask_head.semantic_branch
    if branch is not None and branch.num_classes != bbox_head.num_classes:
        raise ValueError(
            f"bbox_head.num_classes={bbox_head.num_classes} and mask_head.semantic_branch."
            f"num_classes={branch.num_classes} differ: set both to the dataset's number of classes"
        )


def check_levels(
    sizes: Sequence[tuple[int, int]],
    input_size: tuple[int, int],
    num_strides: int,
    reads_p2: bool,
) -> None:
    """Check that the neck begins with the level that the heads take it to begin with.

    Args:
        sizes: (height, width) of the neck's levels.
        input_size: (height, width) of the network input.
        num_strides: levels of the proposal head.
        reads_p2: of the pixel head.

    Raises:
        ValueError: if it begins with another, or has more levels or fewer.
    """
    stride, levels = (P2_STRIDE, num_strides + 1) if reads_p2 else (P3_STRIDE, num_strides)
    expected = tuple(-(-side // stride) for side in input_size)
    if len(sizes) != levels or tuple(sizes[0]) != expected:
        raise ValueError(
            f"the neck has {len(sizes)} levels, the first of {sizes[0][0]} x {sizes[0][1]} cells, "
            f"but with mask_head.reads_p2={reads_p2} and {num_strides} strides of bbox_head it "
            f"must have {levels}, the first of stride {stride} ({expected[0]} x {expected[1]} "
            f"cells): set neck.num_outs={levels}, and neck.start_level (of a ResNet's four levels "
            f"{0 if reads_p2 else 1})"
        )


def check_pad_divisor(pad_size_divisor: int | None) -> None:
    """Check that images are padded to whole cells of the pixel embedding.

    Args:
        pad_size_divisor: of the data preprocessor; None if it has none.

    Raises:
        ValueError: if they are not.
    """
    if pad_size_divisor is not None and pad_size_divisor % P3_STRIDE:
        raise ValueError(
            f"data_preprocessor.pad_size_divisor={pad_size_divisor} is not a multiple of "
            f"{P3_STRIDE}, the stride of P3, so that masks and embeddings would not "
            "meet: set data_preprocessor.pad_size_divisor=32"
        )


def check_num_classes(num_classes: int, classes: Sequence[str], dataset: str) -> None:
    """Check that the head predicts the dataset's classes.

    Raises:
        ValueError: if their numbers differ.
    """
    if isinstance(classes, str):
        raise ValueError(
            f"{dataset}: metainfo classes={classes!r} is a string, not a tuple of names: write "
            f"classes=({classes!r},)"
        )
    if num_classes != len(classes):
        raise ValueError(
            f"bbox_head.num_classes={num_classes}, but {dataset} has {len(classes)} classes "
            f"{tuple(classes)[:5]}{'...' if len(classes) > 5 else ''}: set "
            f"model.bbox_head.num_classes={len(classes)}, or metainfo=dict(classes=...) of the "
            "dataset"
        )
