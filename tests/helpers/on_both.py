"""A function on the CPU and on a GPU, side by side."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

TOLERANCE = dict(rtol=1e-4, atol=1e-5, equal_nan=True)
"""Of float32: sums and exponentials round elsewhere on a GPU."""

NORM_TOLERANCE = 1e-3
"""Relative, of the norm of a gradient or of a network's output: both are long sums, of which single
values lose more digits than the whole."""

DIFFERENT_PIXELS = 1e-5
"""Part of a mask's pixels that may differ: a probability may be the threshold but for rounding."""


def to(device: str, value: Any) -> Any:
    """Tensors of any structure on a device, as leaves of autograd."""
    return tree_map(
        lambda v: (
            v.detach().to(device).requires_grad_(v.requires_grad) if torch.is_tensor(v) else v
        ),
        value,
    )


@dataclass(frozen=True)
class Results:
    """Of a function on one device.

    Args:
        values: that it returns.
        gradients: of the inputs that want them.
    """

    values: list[Any]
    gradients: list[Tensor]


def on_both(function: Callable[..., Any], *inputs: Any) -> tuple[Results, Results]:
    """What a function gives on the CPU, and on the GPU; results must lie where inputs do."""
    found = []
    for device in ("cpu", "cuda"):
        placed = to(device, inputs)
        values = tree_leaves(function(*placed))
        assert all(value.device.type == device for value in values if torch.is_tensor(value))
        wanted = [x for x in tree_leaves(placed) if torch.is_tensor(x) and x.requires_grad]
        if wanted:
            sum(v.sum() for v in values if torch.is_tensor(v) and v.requires_grad).backward()
        values = [value.detach() if torch.is_tensor(value) else value for value in values]
        found.append(Results(values, [x.grad for x in wanted]))
    return tuple(found)


def check_equal(function: Callable[..., Any], *inputs: Any, **tolerance: float) -> list[Tensor]:
    """Check that a GPU gives what the CPU gives.

    Args:
        function: of the inputs.
        inputs: tensors among them are brought to either device.
        tolerance: of values, instead of TOLERANCE.

    Returns:
        The CPU's values, then its gradients.
    """
    expected, found = on_both(function, *inputs)
    torch.testing.assert_close(to("cpu", found.values), expected.values, **TOLERANCE | tolerance)
    for gradient, wanted in zip(found.gradients, expected.gradients, strict=True):
        check_near(gradient, wanted)
    return expected.values + expected.gradients


def check_near(found: Tensor, expected: Tensor) -> None:
    """Check that two tensors differ by NORM_TOLERANCE at most, as vectors."""
    error = (found.cpu() - expected).norm()
    assert error <= NORM_TOLERANCE * expected.norm() + 1e-6, (error, expected.norm())


def check_masks(found: Tensor, expected: Tensor) -> None:
    """Check that masks are equal but for DIFFERENT_PIXELS."""
    assert found.shape == expected.shape and found.dtype == torch.bool
    assert (found.cpu() != expected).float().mean() <= DIFFERENT_PIXELS
