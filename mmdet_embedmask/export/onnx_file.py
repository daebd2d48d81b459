"""An EmbedMask detector as the bytes of an ONNX file."""

import json
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from mmengine.config import Config

from ..embed_mask import EmbedMask
from ..version import __version__
from .nms import onnx_translations
from .onnx_model import OnnxEmbedMask

if TYPE_CHECKING:
    from onnx import ModelProto

ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
INPUT = "image"
OUTPUTS = ("bboxes", "scores", "labels", "probabilities")

AXES = {
    "image": ("height", "width", 3),
    "bboxes": ("detections", 4),
    "scores": ("detections",),
    "labels": ("detections",),
    "probabilities": ("detections", "mask_height", "mask_width"),
}
"""Axes of input and outputs: names of those that differ from image to image."""

TRACED_SIZE = (288, 416)
"""Every level has several cells at this size: the exporter takes an axis of one cell as fixed."""

OPSET = 18
MAX_BYTES = 2**31 - 1
"""An ONNX file is a protocol buffer, which cannot be larger."""


def check_packages() -> None:
    """Check that what export and verification need is installed.

    Raises:
        ValueError: naming what is missing.
    """
    if missing := [name for name in ONNX_PACKAGES if find_spec(name) is None]:
        raise ValueError(
            f'{", ".join(missing)} is not installed: pip install "mmdet_embedmask[optional]"'
        )


@torch.no_grad()
def onnx_bytes(model: EmbedMask, metadata: dict[str, str]) -> bytes:
    """Export the detector; see `OnnxEmbedMask` for input and outputs.

    Args:
        model: on the CPU, in eval mode.
        metadata: of `file_metadata`.

    Returns:
        The file, with all weights.

    Raises:
        ValueError: if the model has a setting that is not exported, or the file would exceed 2 GB.
    """
    image = torch.zeros(*TRACED_SIZE, 3, dtype=torch.uint8)
    dynamic = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with warnings.catch_warnings():
        # Warnings of torch about its own internals.
        warnings.simplefilter("ignore", category=FutureWarning)
        # Traced before the ONNX exporter runs: while it does, MMDetection takes branches that
        # import modules of its second version.
        program = torch.export.export(
            OnnxEmbedMask(model), (image,), dynamic_shapes=(dynamic,), strict=False
        )
        exported = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            custom_translation_table=onnx_translations(),
        )
    # Torch's type allows for none, which only the exporter before this one gives.
    proto = exported.model_proto  # type: ignore[union-attr]
    _name_axes(proto)
    for key, value in metadata.items():
        proto.metadata_props.add(key=key, value=value)
    if proto.ByteSize() > MAX_BYTES:
        raise ValueError(f"the model takes {proto.ByteSize()} bytes, and one ONNX file holds 2 GB")
    content: bytes = proto.SerializeToString()
    return content


def file_metadata(model: EmbedMask, config: Config, classes: Sequence[str]) -> dict[str, str]:
    """What the file's user needs to know beyond its outputs, every value as JSON.

    Args:
        model: that is exported.
        config: its config, which tells how the test pipeline resizes images.
        classes: name of every label.
    """
    preprocessor, recipe = model.data_preprocessor, model.mask_head.mask_recipe
    normalises = preprocessor._enable_normalize
    values = dict(
        mmdet_embedmask=__version__,
        classes=list(classes),
        resize=_resize(config),
        mask_thr=recipe.mask_thr,
        mask_resize=recipe.resize,
        mask_stride=recipe.mask_stride,
        inclusive_boxes=model.mask_head.inclusive_boxes,
        strides=model.bbox_head.level_strides,
        mean=preprocessor.mean.flatten().tolist() if normalises else None,
        std=preprocessor.std.flatten().tolist() if normalises else None,
        swap_red_and_blue=preprocessor._channel_conversion,
        pad_size_divisor=preprocessor.pad_size_divisor,
    )
    return {key: json.dumps(value) for key, value in values.items()}


def _resize(config: Config) -> dict[str, Any] | None:
    """Settings of the test pipeline's Resize; None if it has not exactly one."""
    pipeline = config.test_dataloader.dataset.pipeline
    steps = [dict(step) for step in pipeline if step["type"] == "Resize"]
    if len(steps) != 1:
        return None
    return {key: value for key, value in steps[0].items() if key != "type"}


def _name_axes(proto: "ModelProto") -> None:
    """Give the axes of input and outputs their names instead of the exporter's symbols."""
    for value in (*proto.graph.input, *proto.graph.output):
        for axis, name in zip(value.type.tensor_type.shape.dim, AXES[value.name], strict=True):
            if isinstance(name, str):
                axis.dim_param = name
    # Shapes of inner values still have the symbols that are gone; runtimes infer these shapes.
    del proto.graph.value_info[:]
