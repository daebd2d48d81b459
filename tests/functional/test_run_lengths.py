import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from mmdet_embedmask.functional.run_lengths import encode_changes

# Of pycocotools, about its own arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def changes_of(masks):
    """Changes down the columns, with a row without mask before and after."""
    padded = np.pad(masks, ((0, 0), (1, 1), (0, 0)))
    return np.nonzero(padded[:, 1:] != padded[:, :-1])


def encode(masks):
    return encode_changes(*changes_of(masks), len(masks), masks.shape[1:])


def test_a_hand_written_mask():
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


def test_no_masks():
    assert encode(np.zeros((0, 3, 4), bool)) == []


def test_the_order_of_changes_does_not_matter():
    masks = np.random.default_rng(0).random((3, 9, 7)) > 0.5
    changes = changes_of(masks)
    order = np.random.default_rng(1).permutation(len(changes[0]))
    shuffled = [part[order] for part in changes]
    assert encode_changes(*shuffled, 3, (9, 7)) == encode(masks)


@settings(max_examples=150, deadline=None)
@given(
    arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))),
)
def test_codes_equal_those_of_pycocotools(masks):
    expected = coco_mask.encode(np.asfortranarray(masks.transpose(1, 2, 0), dtype=np.uint8))
    assert encode(masks) == expected
