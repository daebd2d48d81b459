"""A function on the CPU and on a GPU, side by side."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

TOLERANCE = dict(rtol=1e-5, atol=1e-6, equal_nan=True)
"""Of float32: sums and exponentials round elsewhere on a GPU."""

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


def on_both(function: Callable[..., Any], *inputs: Any) -> tuple[list[Any], list[Any]]:
    """Results, and gradients of the inputs that want them, on the CPU and on the GPU, there lying.

    Every result must lie where the inputs do.
    """
    found = []
    for device in ("cpu", "cuda"):
        placed = to(device, inputs)
        results = tree_leaves(function(*placed))
        assert all(r.device.type == device for r in results if torch.is_tensor(r))
        wanted = [x for x in tree_leaves(placed) if torch.is_tensor(x) and x.requires_grad]
        sums = [r.sum() for r in results if torch.is_tensor(r) and r.requires_grad]
        if wanted:
            sum(sums).backward()
        found.append([r.detach() if torch.is_tensor(r) else r for r in results])
        found[-1] += [x.grad for x in wanted]
    return tuple(found)


def check_equal(function: Callable[..., Any], *inputs: Any) -> list[Tensor]:
    """Check that a GPU gives what the CPU gives, within TOLERANCE; returns the CPU's."""
    expected, found = on_both(function, *inputs)
    torch.testing.assert_close([to("cpu", f) for f in found], expected, **TOLERANCE)
    return expected


def check_masks(found: Tensor, expected: Tensor) -> None:
    """Check that masks are equal but for DIFFERENT_PIXELS."""
    assert found.shape == expected.shape and found.dtype == torch.bool
    assert (found.cpu() != expected).float().mean() <= DIFFERENT_PIXELS
