"""Masks computed tile by tile, and only the tiles that a mask's border can cross.

A pixel's probability is a weighted mean of the cells that it reads. So where no cell that a tile
reads is above the threshold the tile is empty, and where all are it is full: only the rest, the
border tiles, have to be computed. That is exact, because weights are not negative and sum to one,
and saves much, because most of the image is empty of an object.

Shapes used in this module:

    K: instances, h, w: cells of the probability maps, S: cells that a tile reads along one axis
    B: border tiles; tiles are (B, 3) as (instance, row of tiles, column of tiles)
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 32
"""Side of a tile in pixels: smaller ones skip more pixels, but there are more of them."""

MAX_TILE_BYTES = 2**22
"""Memory of the border tiles that are computed at once; more leaves the processor's cache."""

MAX_TILE_BYTES_GPU = 2**27
"""The same on a GPU, where every part costs launches and a synchronisation."""


@dataclass(frozen=True)
class TiledAxis:
    """One axis of a mask in tiles.

    Args:
        size: pixels of the axis.
        num_cells: of the map along the axis.
        weights: (T, lines, S) float64: of every line of a tile the weights of its cells, zero for
            lines outside the image.
        cells: (T, S) indices of the cells that the tile reads.
        inside: (T,) bool, whether all lines are pixels of the image.

    Example:
        >>> tile_axis(torch.eye(40).double(), halo=0).inside
        tensor([ True, False])
    """

    size: int
    num_cells: int
    weights: Tensor
    cells: Tensor
    inside: Tensor

    def to(self, device: torch.device) -> "TiledAxis":
        """The same on another device."""
        moved = (each.to(device) for each in (self.weights, self.cells, self.inside))
        return TiledAxis(self.size, self.num_cells, *moved)


Axes = tuple[TiledAxis, TiledAxis]
"""Rows and columns of masks."""


def tile_axis(matrix: Tensor, halo: int) -> TiledAxis:
    """Cut a resize matrix into tiles.

    Args:
        matrix: (s, n) of `resize_matrix`.
        halo: lines that a tile also has before its own, to compare with: 0 or 1. With 1 the tiles
            end at least one line beyond the image, where a mask at its edge ends.

    Example:
        >>> axis = tile_axis(torch.eye(64).double(), halo=1)  # 64 lines of as many cells
        >>> len(axis.cells), axis.weights.shape
        (3, torch.Size([3, 33, 33]))
    """
    size, cells = matrix.shape
    tiles = -(-(size + halo) // TILE)
    padding = (halo, tiles * TILE - size)
    blocks = F.pad(matrix, (0, 0, *padding)).unfold(0, TILE + halo, TILE)  # (T, n, lines)
    read = (blocks != 0).any(dim=2)
    index = torch.arange(cells)
    first = index.where(read, cells).amin(dim=1)
    width = int((index.where(read, 0).amax(dim=1) - first).amax()) + 1
    window = first.clamp(max=cells - width)[:, None] + torch.arange(width)  # (T, S)
    weights = blocks.gather(1, window[:, :, None].expand(-1, -1, TILE + halo)).mT.contiguous()
    inside = F.pad(torch.ones(size, dtype=torch.bool), padding).unfold(0, TILE + halo, TILE)
    return TiledAxis(size, cells, weights, window, inside.all(dim=1))


def find_tiles(probability: Tensor, axes: Axes, mask_thr: float) -> tuple[Tensor, Tensor]:
    """Tell empty, full and border tiles apart.

    Args:
        probability: (K, h, w).
        axes: of the masks.
        mask_thr: a pixel belongs to the mask if its probability is greater.

    Returns:
        Two of (K, rows of tiles, columns of tiles) bool: which tiles are full, so that all their
        pixels belong to the mask; and which are border tiles, of which some pixels may.

    Example:
        >>> axis, maps = tile_axis(torch.eye(64).double(), halo=0), torch.zeros(1, 64, 64)
        >>> maps[0, :32] = 1  # the upper tiles
        >>> maps[0, 40, 5] = 1  # one pixel of the lower left tile
        >>> find_tiles(maps, (axis, axis), mask_thr=0.5)
        (tensor([[[ True,  True], [False, False]]]), tensor([[[False, False], [ True, False]]]))
    """
    rows, columns = axes
    above = (probability > mask_thr)[:, rows.cells]  # (K, rows of tiles, S, w)
    some = above.any(dim=2)[..., columns.cells].any(dim=3)
    every = above.all(dim=2)[..., columns.cells].all(dim=3)
    full = every & rows.inside[:, None] & columns.inside
    return full, some & ~full


def border_masks(
    probability: Tensor, border: Tensor, axes: Axes, mask_thr: float
) -> Iterator[tuple[Tensor, Tensor]]:
    """Compute the border tiles, as many at once as MAX_TILE_BYTES allows.

    In float64: products of float32 lose mask pixels to TF32 and autocast.

    Args:
        probability: (K, h, w).
        border: (B, 3) the border tiles of `find_tiles`.
        axes: of the masks.
        mask_thr: a pixel belongs to the mask if its probability is greater.

    Yields:
        Some of the border tiles (b, 3) and their masks (b, row lines, column lines) bool.

    Example:
        >>> axis, maps = tile_axis(torch.eye(64).double(), halo=0), torch.zeros(1, 64, 64)
        >>> maps[0, 40, 5] = 1
        >>> lower_left = torch.tensor([[0, 1, 0]])
        >>> ((tiles, masks),) = border_masks(maps, lower_left, (axis, axis), mask_thr=0.5)
        >>> masks.nonzero()  # of the lower left tile, which begins at row 32
        tensor([[0, 8, 5]])
    """
    rows, columns = axes
    (lines, high), (across, wide) = rows.weights.shape[1:], columns.weights.shape[1:]
    numbers = lines * (high + across) + wide * (high + across) + high * across
    limit = MAX_TILE_BYTES if probability.device.type == "cpu" else MAX_TILE_BYTES_GPU
    chunk = max(limit // (numbers * rows.weights.element_size()), 1)
    for tiles in torch.split(border, chunk):
        instance, row, column = tiles.unbind(dim=1)
        cells = probability[
            instance[:, None, None], rows.cells[row][:, :, None], columns.cells[column][:, None]
        ].double()
        resized = rows.weights[row] @ (cells @ columns.weights[column].mT)
        yield tiles, resized > mask_thr
