"""The authors' figures that lie in tests/golden (its README says what they are)."""

import json
from pathlib import Path

import numpy as np
from torch import Tensor

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
WHOLE = 8
"""Maps with more rows and columns than this are kept at every third of them."""


def golden_arrays(name: str) -> dict[str, np.ndarray]:
    """All arrays of a file; half precision is float32 again, which holds the same numbers."""
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        found = {key: arrays[key] for key in arrays.files}
    return {k: a.astype(np.float32) if a.dtype == np.float16 else a for k, a in found.items()}


def golden_names(name: str) -> dict[str, tuple[list[int], str]]:
    """Shape and dtype of every weight of a network of theirs, in their order."""
    return json.loads((GOLDEN / f"{name}.json").read_text())


def sampled(maps: Tensor) -> Tensor:
    """The cells of maps (..., h, w) of which the figures are kept."""
    return maps[..., ::3, ::3] if min(maps.shape[-2:]) > WHOLE else maps
