"""Parameters of a detector and floating-point operations of one inference."""

from dataclasses import dataclass
from typing import Any

import torch
from mmengine.analysis import FlopAnalyzer, parameter_count

from ..embed_mask import EmbedMask
from .detectors import random_image

DETECTOR_PARTS = {
    "backbone": "backbone",
    "neck": "neck",
    "proposal head": "bbox_head",
    "pixel head": "mask_head",
}
"""Parts of a detector by name, and the module of each."""

TRAINING_ONLY = ("mask_head.semantic_branch",)
"""Modules within the parts that inference does not run."""

FLOPS_MEANING = (
    "one inference of the network on one image, boxes and masks not in; as MMEngine counts: a "
    "multiply-add of a convolution or matrix product once, BatchNorm 2, GroupNorm and LayerNorm 5, "
    "nearest resizing 1 and bilinear 4 an element; activations and other arithmetic not"
)


@dataclass(frozen=True, kw_only=True)
class Complexity:
    """Size and work of one detector.

    Args:
        name: of the detector.
        image_size: (height, width) of the image.
        padded_size: (height, width) that the network saw.
        parameters: of each of DETECTOR_PARTS, with frozen ones, without those of TRAINING_ONLY.
        training_only: parameters of TRAINING_ONLY.
        flops: of each of DETECTOR_PARTS: see FLOPS_MEANING.
        multiply_adds: of all convolutions of the network.
    """

    name: str
    image_size: tuple[int, int]
    padded_size: tuple[int, int]
    parameters: dict[str, int]
    training_only: int
    flops: dict[str, int]
    multiply_adds: int

    def to_json(self) -> dict[str, Any]:
        """What `json` can write."""
        return vars(self) | dict(
            image_size=list(self.image_size),
            padded_size=list(self.padded_size),
            total_parameters=sum(self.parameters.values()),
            total_flops=sum(self.flops.values()),
        )


def count_parameters(model: EmbedMask) -> tuple[dict[str, int], int]:
    """Parameters of each of DETECTOR_PARTS that inference needs, and those of TRAINING_ONLY."""
    count = parameter_count(model)
    extra = {prefix: count.get(prefix, 0) for prefix in TRAINING_ONLY}
    parts = {
        part: count.get(module, 0)
        - sum(number for prefix, number in extra.items() if prefix.startswith(f"{module}."))
        for part, module in DETECTOR_PARTS.items()
    }
    return parts, sum(extra.values())


@torch.no_grad()
def analyze(name: str, model: EmbedMask, height: int, width: int) -> Complexity:
    """Count parameters and, by running the network once, operations.

    Args:
        name: of the detector.
        model: in eval mode.
        height: of the image in pixels; the model's data preprocessor pads it.
        width: of the image in pixels.
    """
    inputs = model.data_preprocessor(random_image(height, width), training=False)["inputs"]
    analyzer = FlopAnalyzer(model, (inputs,))
    # It would list each activation and each module that only training calls.
    analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analyzer.tracer_warnings("none")
    parameters, training_only = count_parameters(model)
    return Complexity(
        name=name,
        image_size=(height, width),
        padded_size=tuple(inputs.shape[-2:]),
        parameters=parameters,
        training_only=training_only,
        flops={part: int(analyzer.total(module)) for part, module in DETECTOR_PARTS.items()},
        multiply_adds=int(analyzer.by_operator()["conv"]),
    )
