"""What float64 costs EmbedMask: its two matrix products alone, and how fast the machine can be.

Masks are made of two products in float64, for the reasons that `coupling` and `mask_tiles` give.
A GPU for data centres does float64 at half its speed in float32, one for consumers at 1/32 or 1/64.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from torch import Tensor

from ..functional.coupling import mask_probability, squared_distance
from ..functional.mask_tiles import find_tiles, tile_axis
from ..functional.resize import resize_matrix
from .clocks import clock_for, milliseconds
from .machine import Device
from .mask_stage import MaskStage

MIN_MILLISECONDS = 20.0
"""Of one timing: calls are repeated until they take this long, as one alone may take less than its
launch."""

MAX_REPEATS = 1000

RUNS = 5
"""Timings, of which the median counts."""


@dataclass(frozen=True, kw_only=True)
class Product:
    """A matrix product of the mask stage.

    Args:
        name: of the product.
        shape: of its matrices, in words.
        operations: of floating-point numbers; a multiply and an add are two.
        float64_ms: time of one call as it stands.
        float32_ms: time of the same call in float32 without TF32.
    """

    name: str
    shape: str
    operations: int
    float64_ms: float
    float32_ms: float


@dataclass(frozen=True)
class Ceilings:
    """What the machine can do at best.

    Args:
        copy: bytes read and written a second.
        float32: operations a second in a product of large matrices, without TF32.
        float64: the same in float64.
    """

    copy: float
    float32: float
    float64: float


@contextmanager
def without_tf32() -> Iterator[None]:
    """Within, products of float32 are products of float32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def milliseconds_each(run: Callable[[], object], device: Device) -> float:
    """Median time of a call, of calls that follow each other without a wait."""
    clock = clock_for(torch.device(device))

    def repeat(times: int) -> None:
        for _ in range(times):
            run()

    # The first sets up libraries and memory.
    repeat(2)
    once = milliseconds(run, clock)
    times = int(min(max(MIN_MILLISECONDS / max(once, 1e-6), 1), MAX_REPEATS))
    return median(milliseconds(partial(repeat, times), clock) / times for _ in range(RUNS))


@torch.no_grad()
def measure_ceilings(device: Device, copied: int, side: int) -> Ceilings:
    """Measure a copy and two matrix products.

    Args:
        device: that is measured.
        copied: bytes; much more than the caches hold.
        side: of the square matrices.
    """
    source = torch.ones(copied, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy_ms = milliseconds_each(partial(target.copy_, source), device)
    del source, target
    speeds = []
    for dtype in (torch.float32, torch.float64):
        # Random: of equal values a GPU stays cooler and is quicker.
        matrix = torch.rand(side, side, dtype=dtype, device=device)
        with without_tf32():
            product_ms = milliseconds_each(partial(torch.mm, matrix, matrix), device)
        speeds.append(2 * side**3 / product_ms * 1000)
    return Ceilings(2 * copied / copy_ms * 1000, *speeds)


@dataclass(frozen=True, kw_only=True)
class Factors:
    """What is multiplied.

    Args:
        name: of the product.
        shape: of the matrices, in words.
        operations: of floating-point numbers; a multiply and an add are two.
        multiply: gives the product of the factors.
        factors: float64, as they stand in the code.
    """

    name: str
    shape: str
    operations: int
    multiply: Callable[..., Tensor]
    factors: tuple[Tensor, ...]


@torch.no_grad()
def measure_products(stage: MaskStage) -> list[Product]:
    """Time the products of a mask stage, each in float64 and in float32."""
    return [_measure(made, stage.device) for made in (coupling(stage), border_tiles(stage))]


def _measure(made: Factors, device: Device) -> Product:
    def milliseconds_in(dtype: torch.dtype) -> float:
        factors = [factor.to(dtype) for factor in made.factors]
        with without_tf32():
            return milliseconds_each(partial(made.multiply, *factors), device)

    return Product(
        name=made.name,
        shape=made.shape,
        operations=made.operations,
        float64_ms=milliseconds_in(torch.float64),
        float32_ms=milliseconds_in(torch.float32),
    )


@torch.no_grad()
def coupling(stage: MaskStage) -> Factors:
    """The product of `coupling.squared_distance`."""
    pixels, proposals, margins, _ = stage.embeddings()
    p, q, margin = (each.double() for each in (pixels.flatten(1), proposals, margins))
    offset = (margin * q**2).sum(dim=1)[:, None]
    coefficients, features = torch.cat([margin, -2 * margin * q], dim=1), torch.cat([p**2, p])
    (instances, terms), pixel_count = coefficients.shape, features.shape[1]
    return Factors(
        name="coupling",
        shape=f"{instances} x {terms} by {terms} x {pixel_count}",
        operations=2 * instances * terms * pixel_count,
        multiply=torch.addmm,
        factors=(offset, coefficients, features),
    )


@torch.no_grad()
def border_tiles(stage: MaskStage) -> Factors:
    """The products of `mask_tiles.border_masks`, of all border tiles of bitmaps at once.

    Raises:
        ValueError: if the stage's recipe is not the paper's, which couples at the stride of the
            pixel embedding.
    """
    recipe = stage.recipe
    if recipe.upsample != "probability" or recipe.crop_to_box:
        raise ValueError(
            f"{recipe} couples at the mask stride: take upsample='probability' and "
            "crop_to_box=False"
        )
    embeddings = stage.embeddings()[:3]
    probability = mask_probability(squared_distance(*embeddings))
    cells = probability.shape[1:]
    matrices = [
        resize_matrix(n, recipe.upsample_mode, recipe.resize, inside=inside, size=size)
        for n, inside, size in zip(cells, stage.img_shape, stage.size, strict=True)
    ]
    # Bitmaps need no halo.
    rows, columns = (tile_axis(matrix, halo=0).to(probability.device) for matrix in matrices)
    _, border = find_tiles(probability, (rows, columns), recipe.mask_thr)
    tiles = border.nonzero()
    instance, row, column = tiles.unbind(dim=1)
    read = probability[
        instance[:, None, None], rows.cells[row][:, :, None], columns.cells[column][:, None]
    ]
    (lines, high), (across, wide) = rows.weights.shape[1:], columns.weights.shape[1:]
    return Factors(
        name="border tiles",
        shape=f"{len(tiles)} times {lines} x {high} by {high} x {wide} by {wide} x {across}",
        operations=2 * len(tiles) * across * high * (wide + lines),
        multiply=lambda left, middle, right: left @ (middle @ right.mT),
        factors=(rows.weights[row], read.double(), columns.weights[column]),
    )
