"""From embeddings to masks at the original image size, fast.

`dense_masks` is the definition. Here all its resizes are one matrix an axis (`resize_matrix`),
applied to the map on which embeddings are coupled, and only tiles that a mask's border can cross
are computed (`mask_tiles`): the same masks, in a fraction of the time and memory.

Memory beyond the result does not grow with the number of instances, nor with the size of the
original image: about 40 bytes for each of MAX_CELLS cells, MAX_TILE_BYTES, and what coupling needs
of the pixels (at most eight times the pixel embedding). Run lengths need about 100 bytes more for
each change along the columns of the masks that are coupled at once. On a GPU the parts are larger,
and tiles take up to three times their memory, because every pixel is written by its own index.
"""

import math
import mmap
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from .coupling import coupled_probabilities, mask_probability, squared_distance
from .dense_masks import MaskRecipe, crop_to_boxes
from .geometry import MASK_STRIDE, MASK_UPSAMPLE
from .mask_tiles import TILE, Axes, TiledAxis, border_masks, find_tiles, tile_axis
from .resize import ResizeMode, resize_matrix
from .run_lengths import RunLengths, encode_changes

MaskFormat = Literal["bitmap", "rle"]
"""Masks (K, height, width) bool, or K run-length codes as pycocotools and CocoMetric read them."""

MAX_CELLS = 2**20
"""Most cells that are coupled at once, and most tiles that are told apart at once."""

MAX_CELLS_GPU = 2**22
"""The same on a GPU, where every part costs launches and synchronisations: 100 instances at
800 x 1333 are one part."""

MAX_AXES = 128
"""Most axes that are kept for later images of the same size: about 100 KB each at 1333 pixels."""


def predict_masks(
    pixel_embedding: Tensor,
    proposal_embedding: Tensor,
    proposal_margin: Tensor,
    bboxes: Tensor,
    *,
    img_shape: tuple[int, int],
    size: tuple[int, int],
    recipe: MaskRecipe,
    mask_format: MaskFormat = "bitmap",
) -> Tensor | list[RunLengths]:
    """Masks of the proposals of one image.

    Args:
        pixel_embedding: (D, h, w), positions added.
        proposal_embedding: (K, D), positions added.
        proposal_margin: (K, D).
        bboxes: (K, 4) in pixels of the network input.
        img_shape: (height, width) of the image inside the padding.
        size: (height, width) of the masks.
        recipe: how they are made.
        mask_format: of the result.

    Returns:
        (K, *size) bool, or K run-length codes.

    Example:
        >>> pixels = torch.arange(8.0).expand(1, 8, 8)  # an embedding of one channel: the column
        >>> middle, margin, box = torch.tensor([[3.5]]), torch.tensor([[0.7]]), torch.zeros(1, 4)
        >>> how = dict(img_shape=(64, 64), size=(8, 8), recipe=MaskRecipe(mask_thr=0.5))
        >>> predict_masks(pixels, middle, margin, box, **how)[0, 0].int()
        tensor([0, 0, 0, 1, 1, 0, 0, 0], dtype=torch.int32)
    """
    at_mask_stride = recipe.crop_to_box or recipe.upsample == "embedding"

    def couple(part: slice) -> Tensor:
        inputs = (pixel_embedding, proposal_embedding[part], proposal_margin[part])
        if not at_mask_stride:
            return mask_probability(squared_distance(*inputs))
        maps = coupled_probabilities(
            *inputs, upsample=recipe.upsample, upsample_mode=recipe.upsample_mode
        )
        return crop_to_boxes(maps, bboxes[part], recipe.mask_stride) if recipe.crop_to_box else maps

    height, width = pixel_embedding.shape[1:]
    to_mask_stride: ResizeMode | None = recipe.upsample_mode
    if at_mask_stride:
        height, width, to_mask_stride = MASK_UPSAMPLE * height, MASK_UPSAMPLE * width, None
    axes = _axes(
        (height, width),
        to_mask_stride,
        recipe.resize,
        img_shape=img_shape,
        size=size,
        mask_stride=recipe.mask_stride,
        mask_format=mask_format,
        device=pixel_embedding.device,
    )
    return masks_of_maps(
        couple,
        len(proposal_embedding),
        axes,
        mask_thr=recipe.mask_thr,
        mask_format=mask_format,
    )


def masks_of_probabilities(
    probability: Tensor,
    img_shape: tuple[int, int],
    size: tuple[int, int],
    *,
    mask_thr: float,
    resize: ResizeMode = "bilinear",
    mask_stride: int = MASK_STRIDE,
    mask_format: MaskFormat = "bitmap",
) -> Tensor | list[RunLengths]:
    """Masks of probabilities that have reached the mask stride, cropped or not.

    Args:
        probability: (K, h, w) over the padded network input.
        img_shape: (height, width) of the image inside the padding.
        size: (height, width) of the masks.
        mask_thr: a pixel belongs to the mask if its probability is greater.
        resize: how the network input is reached.
        mask_stride: in pixels of the network input.
        mask_format: of the result.

    Returns:
        (K, *size) bool, or K run-length codes.

    Example:
        >>> left = torch.tensor([[[1.0, 1.0, 0.0, 0.0]] * 4])
        >>> masks_of_probabilities(left, (16, 16), (4, 4), mask_thr=0.5)[0, 0].int()
        tensor([1, 1, 0, 0], dtype=torch.int32)
    """
    height, width = probability.shape[1:]
    axes = _axes(
        (height, width),
        None,
        resize,
        img_shape=img_shape,
        size=size,
        mask_stride=mask_stride,
        mask_format=mask_format,
        device=probability.device,
    )
    return masks_of_maps(
        probability.__getitem__, len(probability), axes, mask_thr=mask_thr, mask_format=mask_format
    )


def masks_of_maps(
    maps: Callable[[slice], Tensor],
    num_instances: int,
    axes: Axes,
    *,
    mask_thr: float,
    mask_format: MaskFormat = "bitmap",
) -> Tensor | list[RunLengths]:
    """Masks of probability maps, which are asked for some instances at a time.

    Args:
        maps: gives the probabilities (k, h, w) of some of the instances.
        num_instances: K.
        axes: of the masks, on the maps' device; for run lengths the rows have a halo of one line.
        mask_thr: a pixel belongs to the mask if its probability is greater.
        mask_format: of the result.

    Returns:
        (K, height, width) bool, or K run-length codes.

    Example:
        >>> axis = tile_axis(resize_matrix(4, None, "bilinear", inside=16, size=8), halo=0)
        >>> maps = torch.ones(2, 4, 4)
        >>> masks_of_maps(lambda part: maps[part], 2, (axis, axis), mask_thr=0.5).all()
        tensor(True)
    """
    rows, columns = axes
    device = rows.weights.device
    cells = max(rows.num_cells * columns.num_cells, len(rows.cells) * len(columns.cells))
    step = max((MAX_CELLS if device.type == "cpu" else MAX_CELLS_GPU) // cells, 1)
    parts = [slice(start, start + step) for start in range(0, num_instances, step)]
    if mask_format == "rle":
        return [code for part in parts for code in _run_lengths(maps(part), axes, mask_thr)]
    masks = _empty_masks((num_instances, rows.size, columns.size), device)
    for part in parts:
        _draw_masks(masks[part], maps(part), axes, mask_thr)
    return masks


def _axes(
    cells: tuple[int, int],
    to_mask_stride: ResizeMode | None,
    to_input: ResizeMode,
    *,
    img_shape: tuple[int, int],
    size: tuple[int, int],
    mask_stride: int,
    mask_format: MaskFormat,
    device: torch.device,
) -> Axes:
    """Rows and columns of masks, from maps of (h, w) cells."""
    # Run lengths are made of the changes from one line to the next.
    halos = (1 if mask_format == "rle" else 0), 0
    rows, columns = (
        _axis(
            n,
            to_mask_stride,
            to_input,
            inside=int(inside),
            size=int(pixels),
            mask_stride=mask_stride,
            halo=halo,
            device=device,
        )
        for n, inside, pixels, halo in zip(cells, img_shape, size, halos, strict=True)
    )
    return rows, columns


@lru_cache(MAX_AXES)
def _axis(
    cells: int,
    to_mask_stride: ResizeMode | None,
    to_input: ResizeMode,
    *,
    inside: int,
    size: int,
    mask_stride: int,
    halo: int,
    device: torch.device,
) -> TiledAxis:
    """One axis, kept for the next image of the same size; see `resize_matrix` and `tile_axis`."""
    # Kept for later images, and a tensor of inference mode cannot take part in training.
    with torch.inference_mode(False):
        matrix = resize_matrix(
            cells, to_mask_stride, to_input, inside=inside, size=size, mask_stride=mask_stride
        )
        return tile_axis(matrix, halo).to(device)


def _empty_masks(shape: tuple[int, int, int], device: torch.device) -> Tensor:
    """Masks with no pixel set; on the CPU in memory that costs nothing until it is written to.

    Fresh memory of the system is zero. `torch.zeros` would write it, and `numpy.zeros` asks for
    huge pages, of which the system clears each as a whole: with few pixels to set, both take longer
    than all else.
    """
    size = math.prod(shape)
    if device.type != "cpu" or size == 0 or sys.platform == "win32":
        return torch.zeros(shape, dtype=torch.bool, device=device)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return torch.frombuffer(memory, dtype=torch.bool).view(shape)


def _draw_masks(masks: Tensor, probability: Tensor, axes: Axes, mask_thr: float) -> None:
    """Draw maps (k, h, w) into masks (k, height, width) that are empty."""
    full, border = find_tiles(probability, axes, mask_thr)
    # Full tiles lie inside the image. Ones to copy would be as large as the masks: write a scalar.
    height, width = (side - side % TILE for side in masks.shape[1:])
    if height and width:
        inside = _tile_grid(masks[:, :height, :width], TILE, TILE)
        # As a tensor: Python's True would be copied from the host to a GPU.
        inside[full.nonzero().unbind(dim=1)] = masks.new_ones(())
    write = _write_tiles if masks.device.type == "cpu" else _write_pixels
    for tiles, values in border_masks(probability, border.nonzero(), axes, mask_thr):
        write(masks, tiles, values)


def _write_tiles(masks: Tensor, tiles: Tensor, values: Tensor) -> None:
    """Write tiles (b, TILE, TILE) where they belong, as blocks; those at the far edges are cut."""
    height, width = masks.shape[1:]
    last_row, last_column = height // TILE, width // TILE
    instance, row, column = tiles.unbind(dim=1)
    for first_row, is_row, y, lines in (
        (0, row < last_row, slice(0, last_row * TILE), TILE),
        (last_row, row == last_row, slice(last_row * TILE, height), height % TILE),
    ):
        for first_column, is_column, x, across in (
            (0, column < last_column, slice(0, last_column * TILE), TILE),
            (last_column, column == last_column, slice(last_column * TILE, width), width % TILE),
        ):
            region = masks[:, y, x]
            if region.numel() == 0:
                continue
            chosen = is_row & is_column
            index = instance[chosen], row[chosen] - first_row, column[chosen] - first_column
            _tile_grid(region, lines, across)[index] = values[chosen, :lines, :across]


def _write_pixels(masks: Tensor, tiles: Tensor, values: Tensor) -> None:
    """As `_write_tiles`, pixel by pixel: the host need not wait for how many tiles are cut."""
    height, width = masks.shape[1:]
    instance, row, column = tiles[:, :, None, None].unbind(dim=1)  # (b, 1, 1) each
    line = torch.arange(TILE, device=masks.device)
    y, x = row * TILE + line[:, None], column * TILE + line
    pixel = (instance * height + y) * width + x  # (b, TILE, TILE)
    # What lies outside the image writes the tile's first pixel once more.
    inside = (y < height) & (x < width)
    pixel = pixel.where(inside, pixel[:, :1, :1])
    masks.view(-1)[pixel] = values.where(inside, values[:, :1, :1])


def _tile_grid(region: Tensor, lines: int, across: int) -> Tensor:
    """A view of (k, height, width) as tiles: (k, rows, columns, lines, across)."""
    grid = torch.unflatten(torch.unflatten(region, 2, (-1, across)), 1, (-1, lines))
    return grid.transpose(2, 3)


def _run_lengths(probability: Tensor, axes: Axes, mask_thr: float) -> list[RunLengths]:
    """Run-length codes of maps (k, h, w)."""
    _, border = find_tiles(probability, axes, mask_thr)
    changes = []
    for tiles, values in border_masks(probability, border.nonzero(), axes, mask_thr):
        tile, line, across = (values[:, 1:] != values[:, :-1]).nonzero().unbind(dim=1)
        instance, row, column = tiles[tile].unbind(dim=1)
        changes.append(torch.stack([instance, row * TILE + line, column * TILE + across], dim=1))
    instance, row, column = torch.cat(changes).cpu().numpy().T
    height, width = (axis.size for axis in axes)
    return encode_changes(
        instance, row, column, num_instances=len(probability), size=(height, width)
    )
