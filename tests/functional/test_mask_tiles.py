import torch

from mmdet_embedmask.functional import mask_tiles
from mmdet_embedmask.functional.mask_tiles import TILE, border_masks, tile_axis
from mmdet_embedmask.functional.resize import resize_matrix


def axis(size, halo=0, cells=None):
    cells = cells or -(-size // 8)
    return tile_axis(resize_matrix(cells, "bilinear", "bilinear", inside=size, size=size), halo)


def find_tiles(*args):
    """Full and border tiles as (instance, row, column)."""
    return tuple(tiles.nonzero() for tiles in mask_tiles.find_tiles(*args))


def test_tiles_hold_the_matrix():
    matrix = resize_matrix(10, "bilinear", "bilinear", inside=77, size=77)
    for halo in (0, 1):
        tiled = tile_axis(matrix, halo)
        padded = torch.zeros(halo + 128, 10, dtype=torch.float64)
        padded[halo : halo + 77] = matrix
        assert len(tiled.weights) == 3
        for tile, (weights, cells) in enumerate(zip(tiled.weights, tiled.cells, strict=True)):
            expected = torch.zeros(TILE + halo, 10, dtype=torch.float64)
            expected[:, cells] = weights
            assert torch.equal(expected, padded[tile * TILE :][: TILE + halo])
    assert tile_axis(matrix, 0).inside.tolist() == [True, True, False]
    assert tile_axis(matrix, 1).inside.tolist() == [False, True, False]


def test_a_halo_reaches_beyond_the_image_at_every_size():
    # 64 pixels are two tiles; a third compares the last row with what lies below it.
    assert [len(axis(size, 1).cells) for size in (63, 64, 65)] == [2, 3, 3]
    assert [len(axis(size, 0).cells) for size in (63, 64, 65)] == [2, 2, 3]


def test_a_tile_reads_few_cells():
    # Tiles of 32 pixels are 4 cells of stride 8; bilinear resizing reads one more on each side.
    assert axis(800).cells.shape == (25, 6)
    assert axis(800).cells[3].tolist() == [11, 12, 13, 14, 15, 16]


def test_empty_full_and_border_tiles():
    axes = axis(128), axis(128)
    probability = torch.zeros(2, 16, 16)
    probability[1, :8, :] = 1.0  # the upper half: pixels 0 to 63
    full, border = find_tiles(probability, axes, 0.5)
    assert full.tolist() == [[1, 0, column] for column in range(4)]
    # Cell 7, in the mask, is read by the third row of tiles, cell 8, outside, by the second.
    assert border.tolist() == [[1, row, column] for row in (1, 2) for column in range(4)]
    ((tiles, values),) = border_masks(probability, border, axes, 0.5)
    assert torch.equal(tiles, border)
    assert values[:4].all() and not values[4:].any()


def test_tiles_beyond_the_image_are_never_full():
    axes = axis(100, 1), axis(40)
    full, border = find_tiles(torch.ones(1, 13, 5), axes, 0.5)
    assert full.tolist() == [[0, 1, 0], [0, 2, 0]]
    assert border.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 2, 1], [0, 3, 0], [0, 3, 1]]
    (_, values), *rest = border_masks(torch.ones(1, 13, 5), border, axes, 0.5)
    assert not rest
    # The line before the image, and what lies beyond 100 rows and 40 columns, is outside.
    assert values[0, 0].sum() == 0 and values[0, 1:].all()
    assert values[5, :5, :8].all() and values[5].sum() == 5 * 8


def test_nothing_above_the_threshold_is_no_tile():
    full, border = find_tiles(torch.full((3, 4, 4), 0.5), (axis(32, 1), axis(32)), 0.5)
    assert full.shape == border.shape == (0, 3)


def test_border_tiles_are_computed_some_at_a_time(monkeypatch):
    axes = axis(96, 1), axis(96)
    probability = torch.rand(4, 12, 12)
    _, border = find_tiles(probability, axes, 0.5)
    whole = list(border_masks(probability, border, axes, 0.5))
    assert len(whole) == 1
    # Of 33 x 32 pixels a tile has 1056 numbers, and some more for its weights.
    monkeypatch.setattr(mask_tiles, "MAX_TILE_BYTES", 40_000)
    parts = list(border_masks(probability, border, axes, 0.5))
    assert max(len(tiles) for tiles, _ in parts) in (2, 3)
    assert torch.equal(torch.cat([values for _, values in parts]), whole[0][1])
    monkeypatch.setattr(mask_tiles, "MAX_TILE_BYTES", 1)
    single = list(border_masks(probability, border, axes, 0.5))
    assert [len(tiles) for tiles, _ in single] == [1] * len(border)


def test_neither_autocast_nor_half_precision_moves_a_pixel():
    axes = axis(96, 1), axis(96)
    probability = torch.rand(4, 12, 12)
    _, border = find_tiles(probability, axes, 0.5)
    ((_, expected),) = border_masks(probability, border, axes, 0.5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ((_, values),) = border_masks(probability, border, axes, 0.5)
    assert torch.equal(values, expected)
