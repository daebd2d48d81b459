import numpy as np
import pytest
import torch
import torch.nn.functional as F
from embeddings import RECIPES, scene
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

import mmdet_embedmask.functional.mask_prediction as mask_prediction
from mmdet_embedmask.functional.dense_masks import MaskRecipe, crop_to_boxes, dense_masks
from mmdet_embedmask.functional.mask_prediction import (
    masks_of_maps,
    masks_of_probabilities,
    predict_masks,
)
from mmdet_embedmask.functional.mask_tiles import tile_axis
from mmdet_embedmask.functional.resize import aligned_bilinear, maps_at_size, resize_matrix

# Of pycocotools, about its own arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def twice(maps, mode):
    if mode == "aligned":
        return aligned_bilinear(maps, 2)
    return F.interpolate(maps[:, None], scale_factor=2, mode="bilinear")[:, 0]


def float64_probability(pixels, proposals, margins, boxes, *, img_shape, size, recipe):
    """The definition, all instances at once, by differences and in float64."""
    pixels, proposals, margins = pixels.double(), proposals.double(), margins.double()
    if recipe.upsample == "embedding":
        pixels = twice(pixels, recipe.upsample_mode)
    maps = torch.zeros(len(proposals), *pixels.shape[1:], dtype=torch.float64)
    for p, q, w in zip(pixels, proposals.T, margins.T, strict=True):
        maps += w[:, None, None] * (p - q[:, None, None]) ** 2
    maps = torch.exp(-maps)
    if recipe.upsample == "probability":
        maps = twice(maps, recipe.upsample_mode)
    if recipe.crop_to_box:
        # Columns int(x1 / 4) - 2 up to, not including, int(x2 / 4) + 2; rows likewise.
        stride = recipe.mask_stride
        for cells, (x1, y1, x2, y2) in zip(maps, boxes.tolist(), strict=True):
            kept = torch.zeros_like(cells)
            rows = slice(max(int(y1 / stride) - 2, 0), max(int(y2 / stride) + 2, 0))
            columns = slice(max(int(x1 / stride) - 2, 0), max(int(x2 / stride) + 2, 0))
            kept[rows, columns] = cells[rows, columns]
            cells.copy_(kept)
    return maps_at_size(maps, img_shape, size, recipe.resize, stride=recipe.mask_stride)


def decode(codes, size):
    if not codes:
        return torch.zeros(0, *size, dtype=torch.bool)
    return torch.from_numpy(np.ascontiguousarray(coco_mask.decode(codes).transpose(2, 0, 1))).bool()


def check_case(seed, max_instances, max_side):
    """Masks and run lengths of one random image; returns how many pixels were compared."""
    generator = torch.Generator().manual_seed(seed)

    def draw(low, high):
        return int(torch.randint(low, high + 1, (), generator=generator))

    k, h, w = draw(0, max_instances), 4 * draw(1, 6), 4 * draw(1, 6)
    recipe = RECIPES[seed % len(RECIPES)]
    stride = 2 * recipe.mask_stride
    img_shape = draw(1, stride * h), draw(1, stride * w)
    size = draw(1, max_side), draw(1, max_side)
    inputs = scene(k, h, w, generator)
    how = dict(img_shape=img_shape, size=size, recipe=recipe)
    masks = predict_masks(*inputs, **how)
    assert masks.shape == (k, *size) and masks.dtype == torch.bool and masks.is_contiguous()
    if k:  # interpolate takes no empty batch
        probability = float64_probability(*inputs, **how)
        clear = (probability - recipe.mask_thr).abs() >= 1e-5
        assert torch.equal(masks[clear], (probability > recipe.mask_thr)[clear])
    codes = predict_masks(*inputs, **how, mask_format="rle")
    assert torch.equal(decode(codes, size), masks)
    return masks.numel()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**31))
def test_masks_equal_the_dense_definition_in_float64(seed):
    check_case(seed, max_instances=12, max_side=260)


@pytest.mark.slow
def test_masks_of_1200_images_with_up_to_300_instances_equal_the_dense_definition():
    pixels = sum(check_case(seed, max_instances=300, max_side=200) for seed in range(1200))
    assert pixels > 10**9


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_dense_masks_of_the_benchmark_are_the_same(recipe):
    inputs = scene(9, 16, 24, torch.Generator().manual_seed(3))
    inside = (120, 185) if recipe.mask_stride == 4 else (60, 93)
    how = dict(img_shape=inside, size=(97, 301), recipe=recipe)
    dense = dense_masks(*inputs, **how)
    assert 0 < dense.sum() < dense.numel()
    assert (predict_masks(*inputs, **how) != dense).sum() <= 1  # a probability at the threshold


@pytest.mark.parametrize("crop_to_box", [True, False])
@pytest.mark.parametrize("mask_format", ["bitmap", "rle"])
def test_coupling_some_instances_at_a_time_gives_the_same_masks(
    monkeypatch, mask_format, crop_to_box
):
    inputs = scene(7, 16, 24, torch.Generator().manual_seed(0))
    recipe = MaskRecipe(0.5, crop_to_box=crop_to_box)
    how = dict(img_shape=(120, 185), size=(97, 301), recipe=recipe, mask_format=mask_format)
    whole = predict_masks(*inputs, **how)
    # Cropping is done at the mask stride, where a map has four times as many cells.
    monkeypatch.setattr(mask_prediction, "MAX_CELLS", 2 * 16 * 24 * (4 if crop_to_box else 1))
    coupled = []
    couple = mask_prediction.squared_distance
    monkeypatch.setattr(
        mask_prediction, "squared_distance", lambda *a: coupled.append(len(a[1])) or couple(*a)
    )
    if crop_to_box:
        maps = mask_prediction.coupled_probabilities
        monkeypatch.setattr(
            mask_prediction,
            "coupled_probabilities",
            lambda *a, **b: coupled.append(len(a[1])) or maps(*a, **b),
        )
    parts = predict_masks(*inputs, **how)
    assert coupled == [2, 2, 2, 1]
    assert torch.equal(parts, whole) if mask_format == "bitmap" else parts == whole


@pytest.mark.parametrize("max_cells, parts", [(2 * 63 * 32, [2, 2, 1]), (1, [1] * 5)])
def test_parts_are_bounded_by_the_tiles_of_a_large_image_too(monkeypatch, max_cells, parts):
    # Masks of 2000 x 1000 pixels are 63 x 32 tiles, of maps of 4 x 4 cells.
    monkeypatch.setattr(mask_prediction, "MAX_CELLS", max_cells)
    axes = [
        tile_axis(resize_matrix(4, None, "bilinear", inside=16, size=size), halo=0)
        for size in (2000, 1000)
    ]
    seen = []

    def maps(part):
        seen.append(len(range(5)[part]))
        return torch.zeros(seen[-1], 4, 4)

    masks_of_maps(maps, 5, tuple(axes), mask_thr=0.5)
    assert seen == parts


def test_run_lengths_of_empty_and_of_whole_masks():
    probability = torch.stack([torch.zeros(8, 8), torch.ones(8, 8)])
    how = dict(mask_thr=0.5, mask_format="rle")
    for maps, expected in ((probability, [0, 1]), (probability[:1], [0]), (probability[1:], [1])):
        masks = decode(masks_of_probabilities(maps, (30, 32), (40, 50), **how), (40, 50))
        assert torch.equal(masks, torch.tensor(expected).bool()[:, None, None].expand(-1, 40, 50))


def test_one_full_tile_alone():
    probability = torch.zeros(1, 16, 16)
    probability[0, 7:, 7:] = 1.0
    masks = masks_of(probability, (64, 64), (64, 64), 0.4)

    # Between cell 6 (pixels to 27, value 0) and 7 (from 28 on) the value rises by 1/4 a pixel, from
    # 1/8 at pixel 26: 27 in both directions has 3/8 * 3/8, and 28 * 28 with 5/8 less than 0.4, too.
    def value(pixel):
        return min(max((pixel - 25.5) / 4, 0.0), 1.0)

    expected = [[value(y) * value(x) > 0.4 for x in range(64)] for y in range(64)]
    assert masks[0].tolist() == expected and all(expected[y][x] for y in (32, 63) for x in (32, 63))


def masks_of(probability, img_shape, size, mask_thr, resize="bilinear"):
    return masks_of_probabilities(probability, img_shape, size, mask_thr=mask_thr, resize=resize)


def test_the_threshold_itself_is_outside_the_mask():
    probability = torch.full((1, 2, 2), 0.5)
    assert not masks_of(probability, (8, 8), (8, 8), 0.5).any()
    assert masks_of(probability, (8, 8), (8, 8), 0.4999).all()


def test_the_threshold_itself_is_outside_the_mask_in_a_tile_with_a_border():
    probability = torch.full((1, 8, 8), 0.5)
    probability[0, :, 6:] = 1.0  # above 0.5 from pixel 22 on: between the middles of cells 5 and 6
    masks = masks_of(probability, (32, 32), (32, 32), 0.5)
    assert torch.equal(masks[0], (torch.arange(32) >= 22).expand(32, 32))


def test_padding_is_cut_off():
    probability = torch.zeros(1, 4, 4)
    probability[:, :, 2:] = 1.0  # x from 8 on: the padding of an image of 8 x 16
    masks = masks_of(probability, (16, 8), (16, 8), 0.5)
    assert not masks.any()


@pytest.mark.parametrize(
    "box, rows, columns",
    [
        # Rows int(16 / 4) - 2 up to, not including, int(20 / 4) + 2; columns 3 - 2 up to 4 + 2.
        ([12.0, 16.0, 16.0, 20.0], (2, 7), (1, 6)),
        # int() drops fractions: 15.9 / 4 is 3, 19.9 / 4 is 4.
        ([15.9, 12.1, 19.9, 16.1], (1, 6), (1, 6)),
        ([16.0, 16.0, 16.0, 16.0], (2, 6), (2, 6)),
        # Beyond the map there is nothing to keep.
        ([0.0, 3.0, 32.0, 31.0], (0, 8), (0, 8)),
        ([28.0, 0.0, 32.0, 4.0], (0, 3), (5, 8)),
    ],
)
def test_crop_keeps_the_cells_of_the_released_program(box, rows, columns):
    cropped = crop_to_boxes(
        torch.full((2, 8, 8), 0.75), torch.tensor([box, [0.0, 0.0, 32.0, 32.0]])
    )
    expected = torch.zeros(8, 8)
    expected[slice(*rows), slice(*columns)] = 0.75
    assert torch.equal(cropped[0], expected)
    assert torch.equal(cropped[1], torch.full((8, 8), 0.75))


@pytest.mark.parametrize("size", [(3000, 1), (1, 3000)])
def test_one_pixel_wide_images(size):
    masks = masks_of(torch.ones(2, 8, 8), (32, 1), size, 0.5)
    assert masks.shape == (2, *size) and masks.all()


def test_aligned_masks_put_a_cell_at_the_pixel_that_its_target_was_read_from():
    probability = torch.zeros(1, 4, 4)
    probability[0, 1, 2] = 1.0
    masks = masks_of(probability, (16, 16), (16, 16), 0.999, "aligned")
    assert masks[0].nonzero().tolist() == [[6, 10]]  # 4 * 1 + 2, 4 * 2 + 2
    # align_corners=False puts it between pixels, so that none of them reaches 1.
    assert not masks_of(probability, (16, 16), (16, 16), 0.999).any()


def test_autocast_moves_no_pixel():
    inputs = scene(7, 16, 24, torch.Generator().manual_seed(0))
    how = dict(img_shape=(120, 185), size=(97, 301), recipe=MaskRecipe(0.5))
    expected = predict_masks(*inputs, **how)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(predict_masks(*inputs, **how), expected)


def test_axes_are_kept_for_images_of_the_same_size(monkeypatch):
    made = []
    original = mask_prediction.tile_axis
    monkeypatch.setattr(
        mask_prediction, "tile_axis", lambda *args: made.append(args) or original(*args)
    )
    mask_prediction._axis.cache_clear()
    maps = torch.rand(2, 8, 8)
    first = masks_of_probabilities(maps, (30, 32), (41, 50), mask_thr=0.5)
    assert len(made) == 2
    assert torch.equal(masks_of_probabilities(maps, (30, 32), (41, 50), mask_thr=0.5), first)
    assert len(made) == 2
    # Other sizes, and the halo of run lengths, are others.
    masks_of_probabilities(maps, (30, 32), (42, 50), mask_thr=0.5)
    masks_of_probabilities(maps, (30, 32), (41, 50), mask_thr=0.5, mask_format="rle")
    assert len(made) == 4


def test_axes_of_inference_mode_serve_outside_it():
    mask_prediction._axis.cache_clear()
    maps = torch.rand(2, 8, 8)
    with torch.inference_mode():
        expected = masks_of_probabilities(maps, (30, 32), (40, 50), mask_thr=0.5).clone()
    masks = masks_of_probabilities(maps.requires_grad_(), (30, 32), (40, 50), mask_thr=0.5)
    assert torch.equal(masks, expected)
