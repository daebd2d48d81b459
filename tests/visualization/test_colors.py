import numpy as np
from drawn import box_mask

from mmdet_embedmask.visualization.colors import PALETTE, lab, neighbor_colors


def test_the_palette_is_far_apart():
    values = lab(PALETTE)
    distances = np.linalg.norm(values[:, None] - values[None], axis=2)
    assert distances[~np.eye(len(PALETTE), dtype=bool)].min() > 20


def test_neighbours_in_a_crowd_differ_clearly():
    cells = [(x, y) for y in range(8) for x in range(8)]
    order = np.random.default_rng(0).permutation(len(cells))
    cells = [cells[i] for i in order]
    masks = np.stack([box_mask(12 * x, 12 * y, 12 * x + 11, 12 * y + 11) for x, y in cells])
    colors = lab(neighbor_colors(masks))
    for i, (x1, y1) in enumerate(cells):
        for j, (x2, y2) in enumerate(cells):
            if abs(x1 - x2) + abs(y1 - y2) == 1:
                assert np.linalg.norm(colors[i] - colors[j]) > 30


def test_few_instances_all_differ():
    masks = np.stack([box_mask(20 * i, 0, 20 * i + 3, 3) for i in range(5)])
    assert len(set(neighbor_colors(masks))) == 5
    assert neighbor_colors(masks) == neighbor_colors(masks)


def test_no_masks_get_no_colours_and_empty_ones_get_one_each():
    assert neighbor_colors(np.zeros((0, 4, 4), bool)) == []
    assert len(neighbor_colors(np.zeros((3, 4, 4), bool))) == 3
