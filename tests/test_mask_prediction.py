import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import mmdet_embedmask.mask_prediction as mask_prediction
from mmdet_embedmask.aligned_bilinear import aligned_bilinear
from mmdet_embedmask.mask_prediction import crop_to_boxes, predict_masks


def dense(probability, img_shape, ori_shape, mask_thr):
    """The definition, all instances at once and in float64."""
    maps = F.interpolate(probability.double()[None], scale_factor=4, mode="bilinear")
    maps = maps[..., : img_shape[0], : img_shape[1]]
    return F.interpolate(maps, size=ori_shape, mode="bilinear")[0], mask_thr


sizes = st.integers(1, 64)


@settings(max_examples=60, deadline=None)
@given(k=st.integers(0, 4), img=st.tuples(sizes, sizes), ori=st.tuples(sizes, sizes))
def test_masks_equal_the_dense_definition_at_every_size(k, img, ori):
    probability = torch.rand(k, 16, 16)
    masks = predict_masks(probability, img, ori, 0.5)
    assert masks.shape == (k, *ori) and masks.dtype == torch.bool
    if k:
        resized, threshold = dense(probability, img, ori, 0.5)
        clear = (resized - threshold).abs() > 1e-5
        assert torch.equal(masks[clear], (resized > threshold)[clear])


def test_chunks_give_the_same_masks(monkeypatch):
    probability = torch.rand(7, 16, 16)
    whole = predict_masks(probability, (60, 62), (33, 41), 0.5)
    monkeypatch.setattr(mask_prediction, "MAX_CHUNK_PIXELS", 2 * 64 * 64)
    assert torch.equal(predict_masks(probability, (60, 62), (33, 41), 0.5), whole)


def test_the_threshold_itself_is_outside_the_mask():
    probability = torch.full((1, 2, 2), 0.5)
    assert not predict_masks(probability, (8, 8), (8, 8), 0.5).any()
    assert predict_masks(probability, (8, 8), (8, 8), 0.4999).all()


def test_padding_is_cut_off():
    probability = torch.zeros(1, 4, 4)
    probability[:, :, 2:] = 1.0  # x from 8 on: the padding of an image of 8 x 16
    masks = predict_masks(probability, (16, 8), (16, 8), 0.5)
    assert not masks.any()


def test_crop_keeps_the_box_grown_by_two_cells():
    probability = torch.ones(2, 8, 8)
    boxes = torch.tensor([[12.0, 16.0, 16.0, 20.0], [0.0, 0.0, 32.0, 32.0]])
    cropped = crop_to_boxes(probability, boxes)
    expected = torch.zeros(8, 8)
    # x from 4 to 24 (cell centres 6 to 22), y from 8 to 28 (10 to 26).
    expected[2:7, 1:6] = 1.0
    assert torch.equal(cropped[0], expected)
    assert torch.equal(cropped[1], torch.ones(8, 8))


@pytest.mark.parametrize("ori_shape", [(3000, 1), (1, 3000)])
def test_one_pixel_wide_images(ori_shape):
    masks = predict_masks(torch.ones(2, 8, 8), (32, 1), ori_shape, 0.5)
    assert masks.shape == (2, *ori_shape) and masks.all()


def test_aligned_masks_put_a_cell_at_the_pixel_that_its_target_was_read_from():
    probability = torch.zeros(1, 4, 4)
    probability[0, 1, 2] = 1.0
    masks = predict_masks(probability, (16, 16), (16, 16), 0.999, "aligned")
    assert masks[0].nonzero().tolist() == [[6, 10]]  # 4 * 1 + 2, 4 * 2 + 2
    # align_corners=False puts it between pixels, so that none of them reaches 1.
    assert not predict_masks(probability, (16, 16), (16, 16), 0.999).any()


def test_aligned_masks_are_the_resized_probabilities():
    probability = torch.rand(3, 8, 8)
    masks = predict_masks(probability, (30, 32), (17, 45), 0.5, "aligned")
    resized = aligned_bilinear(probability, 4)[:, :30]
    resized = F.interpolate(resized[None], size=(17, 45), mode="bilinear")[0]
    assert torch.equal(masks, resized > 0.5)
