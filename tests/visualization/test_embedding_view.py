import numpy as np
import pytest
import torch
from drawn import SIZE, assert_nothing_is_clipped, gray_image, inspected_image, panel

from mmdet_embedmask.visualization.embedding_view import (
    DIMMED,
    common_colors,
    embedding_view,
)
from mmdet_embedmask.visualization.style import GAP, HEADER_HEIGHT

TILE = 192
PICTURE = (128, 192)


def view(inspected, part="both", image=None):
    image = gray_image() if image is None else image
    return embedding_view(image, inspected, mask_thr=0.5, title="a picture", part=part, tile=TILE)


def test_two_blobs_have_two_colours_at_their_pixels():
    inspected = inspected_image()
    embedding = panel(view(inspected, "spatial_free"), 1, PICTURE, TILE).astype(int)
    left, right = embedding[:, :80], embedding[:, 112:]
    assert (left == left[0, 0]).all() and (right == right[0, 0]).all()
    assert np.abs(left[0, 0] - right[0, 0]).max() == 255


def test_discs_have_the_colour_of_their_pixels_on_the_dimmed_image():
    inspected = inspected_image()
    picture = view(inspected, "spatial_free")
    embedding, proposals = (panel(picture, column, PICTURE, TILE) for column in (1, 2))
    for x in (24 * 2, 72 * 2):  # the boxes' centres in the picture
        assert np.array_equal(proposals[64, x], embedding[64, x])
    far = np.ones(PICTURE, bool)
    for x in (48, 144):
        far[64 - 12 : 64 + 12, x - 12 : x + 12] = False
    assert (proposals[far] == round(DIMMED * 100)).all()


def test_the_first_panel_is_the_image_and_the_last_shows_its_masks():
    inspected = inspected_image()
    picture = view(inspected)
    assert (panel(picture, 0, PICTURE, TILE) == 100).all()
    masks = panel(picture, 3, PICTURE, TILE).astype(int)
    # Each proposal sits in the middle of its mask; the corners are too far away for any.
    inside = inspected.masks(0.5)
    for x in (40, 136):
        assert inside[:, 56, x].any() and (masks[56, x] != 100).any()
    assert not inside.all()
    covered = (masks != 100).any(axis=2)
    assert (covered == inside.any(dim=0).numpy()).mean() > 0.99
    assert (masks[56, 40] != masks[56, 136]).any()


def test_the_page_is_as_large_as_its_panels_and_nothing_is_clipped():
    picture = view(inspected_image())
    assert picture.shape == (2 * HEADER_HEIGHT + 128 + 2 * GAP, 4 * TILE + 5 * GAP, 3)
    assert picture.dtype == np.uint8
    assert_nothing_is_clipped(picture)


def test_padding_is_not_part_of_the_picture():
    inspected = inspected_image()
    padded = torch.cat([inspected.pixel_embedding, torch.full((4, 8, 4), 1000.0)], dim=2)
    wider = inspected_image(pixels=padded)
    panels = [panel(view(i), 1, PICTURE, TILE) for i in (inspected, wider)]
    assert np.array_equal(*panels)


@pytest.mark.parametrize(
    ("free", "aware", "missing"), [(2, 0, "spatial_aware"), (0, 2, "spatial_free")]
)
def test_an_embedding_of_one_part_refuses_the_other(free, aware, missing):
    inspected = inspected_image(free=free, aware=aware)
    assert view(inspected).shape[1] == 4 * TILE + 5 * GAP
    with pytest.raises(ValueError, match=f"no {missing} part: choose part='both'"):
        view(inspected, missing)


def test_an_unknown_part_is_refused():
    with pytest.raises(ValueError, match="part='all' is unknown: choose one of"):
        view(inspected_image(), "all")


def test_no_detections_leave_the_image():
    inspected = inspected_image()
    empty = inspected.select(torch.zeros(0, dtype=torch.long))
    picture = view(empty)
    assert (panel(picture, 3, PICTURE, TILE) == 100).all()
    assert (panel(picture, 2, PICTURE, TILE) == round(DIMMED * 100)).all()


@pytest.mark.parametrize("size", [(3, 400), (400, 3), (900, 700)])
def test_images_of_any_size_are_drawn_whole(size):
    inspected = inspected_image()
    inspected.meta.update(ori_shape=size, scale_factor=(SIZE[1] / size[1], SIZE[0] / size[0]))
    picture = view(inspected, image=np.zeros((*size, 3), np.uint8))
    assert picture.shape[1] == 4 * TILE + 5 * GAP
    assert_nothing_is_clipped(picture)


def test_equal_embeddings_have_equal_colours():
    pixels, proposals = torch.randn(8, 5, 6), torch.randn(3, 8)
    proposals[1] = pixels[:, 2, 4]
    pixels[:, 0, 0] = pixels[:, 4, 5]
    pixel_colors, proposal_colors = common_colors(pixels, proposals)
    assert pixel_colors.shape == (5, 6, 3) and proposal_colors.shape == (3, 3)
    assert np.array_equal(proposal_colors[1], pixel_colors[2, 4])
    assert np.array_equal(pixel_colors[0, 0], pixel_colors[4, 5])
    assert not np.array_equal(proposal_colors[0], proposal_colors[1])


def test_colours_are_the_principal_components():
    # Three independent channels, of falling variance: red, green and blue rise with them.
    steps = torch.linspace(-1, 1, 9)
    a, b, c = torch.meshgrid(4 * steps, 2 * steps, steps, indexing="ij")
    pixels = torch.stack([c, a, b]).reshape(3, 9, 81)
    colors, _ = common_colors(pixels, torch.zeros(0, 3))
    for channel, values in zip((2, 1, 0), (a, b, c), strict=True):
        expected = torch.round(255 * (values / values.max() + 1) / 2).reshape(9, 81)
        assert np.abs(colors[..., channel] - expected.numpy()).max() <= 1


def test_colours_do_not_depend_on_a_single_outlier():
    pixels = torch.randn(4, 20, 20)
    before, _ = common_colors(pixels, torch.zeros(0, 4))
    after, _ = common_colors(torch.cat([pixels, 0.5 * pixels[:, :1]], 1), torch.zeros(1, 4))
    spread = [np.percentile(colors.reshape(-1, 3), 75, axis=0) for colors in (before, after)]
    assert np.abs(spread[0] - spread[1]).max() < 40


@pytest.mark.parametrize("dim", [1, 2])
def test_fewer_than_three_channels_leave_colours_constant(dim):
    colors, _ = common_colors(torch.randn(dim, 6, 6), torch.randn(2, dim))
    assert (colors[..., : 3 - dim] == 128).all()
    assert colors[..., 2].std() > 30


def test_a_constant_embedding_is_gray():
    colors, _ = common_colors(torch.ones(4, 3, 3), torch.ones(2, 4))
    assert (colors == 128).all()
