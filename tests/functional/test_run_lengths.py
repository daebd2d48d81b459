import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from mmdet_embedmask.functional.run_lengths import (
    decode_counts,
    decode_mask,
    encode_changes,
    encode_masks,
)

# Of pycocotools, about its own arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def changes_of(masks):
    """Changes down the columns, with a row without mask before and after."""
    padded = np.pad(masks, ((0, 0), (1, 1), (0, 0)))
    return np.nonzero(padded[:, 1:] != padded[:, :-1])


def encode(masks):
    return encode_changes(*changes_of(masks), num_instances=len(masks), size=masks.shape[1:])


def test_changes_of_a_hand_written_mask_give_its_code():
    mask = np.array([[0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 0, 0]], bool)
    (code,) = encode(mask[None])
    # Down the columns: 3 outside, 5 inside (column 1 runs on into column 2), 4 outside.
    (expected,) = coco_mask.frPyObjects([dict(size=[3, 4], counts=[3, 5, 4])], 3, 4)
    assert code == expected


@pytest.mark.parametrize("value", [False, True])
def test_empty_and_full_masks(value):
    masks = np.full((2, 3, 4), value)
    expected = coco_mask.encode(np.asfortranarray(masks.transpose(1, 2, 0), dtype=np.uint8))
    assert encode(masks) == expected


def test_no_masks_give_no_codes():
    assert encode(np.zeros((0, 3, 4), bool)) == []


def test_the_order_of_changes_does_not_matter():
    masks = np.random.default_rng(0).random((3, 9, 7)) > 0.5
    changes = changes_of(masks)
    order = np.random.default_rng(1).permutation(len(changes[0]))
    shuffled = [part[order] for part in changes]
    assert encode_changes(*shuffled, num_instances=3, size=(9, 7)) == encode(masks)


@settings(max_examples=150, deadline=None)
@given(
    arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))),
)
def test_codes_equal_those_of_pycocotools(masks):
    expected = coco_mask.encode(np.asfortranarray(masks.transpose(1, 2, 0), dtype=np.uint8))
    assert encode(masks) == expected


def test_counts_of_large_runs_are_read():
    plain = dict(size=[4000, 6000], counts=[7_000_000, 16_000_000, 1_000_000])
    text = coco_mask.frPyObjects(plain, 4000, 6000)["counts"].decode()
    assert decode_counts(text).tolist() == plain["counts"]


def test_the_largest_runs_take_seven_characters():
    side = 40_000
    plain = dict(size=[side, side], counts=[2**29, 2**29 + 7, side**2 - 2**30 - 7])
    text = coco_mask.frPyObjects(plain, side, side)["counts"].decode()
    assert len(text) == 7 + 7 + 6 and decode_counts(text).tolist() == plain["counts"]


@pytest.mark.parametrize("text", ["", "o", "ab~", "\x00", "ü", "1 2", "ooooooooo0", "\udc80"])
def test_other_text_is_refused(text):
    with pytest.raises(ValueError, match="compressed run lengths"):
        decode_counts(text)


def test_masks_of_any_kind():
    bitmaps = torch.zeros(2, 4, 6, dtype=torch.bool)
    bitmaps[0, 1:3, 2:5] = True
    bitmaps[1, 0, 0] = bitmaps[1, 3, 5] = True
    codes = [coco_mask.encode(np.asfortranarray(mask.numpy(), np.uint8)) for mask in bitmaps]
    expected = encode_masks(codes)
    assert encode_masks(bitmaps) == encode_masks(bitmaps.numpy()) == expected
    assert encode_masks(bitmaps.to(torch.uint8)) == expected
    assert encode_masks([]) == encode_masks(torch.zeros(0, 4, 6)) == []


def test_decode_mask_knows_every_form():
    mask = np.zeros((4, 6), bool)
    mask[1:3, 2:5] = True
    compressed = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    # Down the columns: 2 * 4 + 1 unset, then 2 set and 2 unset, thrice; the last run is longer.
    plain = {"size": [4, 6], "counts": [9, 2, 2, 2, 2, 2, 5]}
    polygons = [[2, 1, 5, 1, 5, 3, 2, 3]]
    for form in (mask, compressed, plain, polygons):
        assert np.array_equal(decode_mask(form, (4, 6)), mask)
