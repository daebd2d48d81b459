"""Inspection of one image, ready to draw."""

from dataclasses import fields, replace
from typing import Any

import torch

from ..embed_mask import EmbedMask
from ..inspection import InspectedImage, inspect_batch


def inspect_image(model: EmbedMask, batch: dict[str, Any], score_thr: float) -> InspectedImage:
    """What the network computed for one image, on the CPU.

    Args:
        model: in eval mode.
        batch: of this image alone, as a test data loader gives it.
        score_thr: detections with a lower score are left out.
    """
    (inspected,) = inspect_batch(model, batch)
    kept = inspected.select(inspected.scores >= score_thr)
    values: dict[str, Any] = {field.name: getattr(kept, field.name) for field in fields(kept)}
    on_cpu: dict[str, Any] = {
        name: value.cpu() for name, value in values.items() if torch.is_tensor(value)
    }
    return replace(kept, **on_cpu)
