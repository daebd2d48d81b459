import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from mmdet_embedmask.checks.segmentation import mask_state
from mmdet_embedmask.functional.run_lengths import decode_counts

SQUARE = [1.0, 1.0, 5.0, 1.0, 5.0, 5.0, 1, 5]
RLE = dict(size=[8, 12], counts=[40, 5, 51])


@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from([1, 7, 90])
)
def test_compressed_counts_are_read_as_pycocotools_reads_them(height, width, seed, share):
    mask = np.random.default_rng(seed).integers(0, 100, (height, width)) < share
    text = coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
    column_major = np.concatenate([[False], mask.ravel(order="F")])
    changes = np.flatnonzero(np.diff(column_major))
    counts = np.diff(np.concatenate([[0], changes, [mask.size]]))
    assert decode_counts(text).tolist() == counts.tolist()
    state = mask_state(dict(size=[height, width], counts=text), height, width)
    assert state == ("drawn" if mask.any() else "empty")


@pytest.mark.parametrize(
    "segmentation, state",
    [
        ([SQUARE], "drawn"),
        ([[-5, -5, 20, -5, 20, 20]], "drawn"),
        ([[13, 1, 20, 1, 20, 5]], "empty"),
        ([[-5, 1, 0, 1, 0, 5]], "empty"),
        ([[12, 1, 20, 1, 20, 5]], "empty"),
        ([[1, 8, 5, 8, 5, 20]], "empty"),
        # Beyond the height, but not the width; and as far out as the image is wide.
        ([[1, 1, 11, 1, 11, 5]], "drawn"),
        ([[-12, -12, 24, -12, 24, 20]], "drawn"),
        (dict(size=[8.0, 12.0], counts=[40.0, 5.0, 51.0]), "drawn"),
        ([[13, 1, 20, 1, 20, 5], SQUARE], "drawn"),
        ([SQUARE, [1, 1, 5, 5]], "short"),
        ([[]], "short"),
        (RLE, "drawn"),
        (dict(size=[8, 12], counts=[96]), "empty"),
        (dict(size=[8, 12], counts=[96, 0]), "empty"),
        (dict(size=[8, 12], counts=[0, 96]), "drawn"),
    ],
)
def test_a_mask_that_can_be_read_is_drawn_empty_or_short(segmentation, state):
    assert mask_state(segmentation, 8, 12) == state


@pytest.mark.parametrize(
    "segmentation, message",
    [
        (None, "list of polygons or an RLE"),
        ("polygon", "list of polygons or an RLE"),
        ([], "empty list"),
        (SQUARE, "list of lists"),
        ([SQUARE, None], "list of lists"),
        ([[1, 1, 5, 1, 5]], "odd number"),
        ([["1", 1, 5, 1, 5, 5]], "not a number"),
        ([[True, 1, 5, 1, 5, 5]], "not a number"),
        ([[float("nan"), 1, 5, 1, 5, 5]], "NaN or infinite"),
        ([[float("inf"), 1, 5, 1, 5, 5]], "NaN or infinite"),
        ([[10**400, 1, 5, 1, 5, 5]], "further outside"),
        ([[1e9, 1, 5, 1, 5, 5]], "further outside"),
        ([[1, -13, 5, 1, 5, 5]], "further outside"),
        ({}, "'size' of an RLE"),
        (dict(size=[8, 12]), "needs 'counts'"),
        (dict(size=[12, 8], counts=[96]), "'size' of an RLE"),
        (dict(size=[8.0, "x"], counts=[96]), "'size' of an RLE"),
        (dict(size=[8, 12], counts=[95]), "do not sum"),
        (dict(size=[8, 12], counts=[]), "do not sum"),
        (dict(size=[8, 12], counts=[100, -4]), "below 0"),
        (dict(size=[8, 12], counts=[10**30]), "below 0 or longer"),
        (dict(size=[8, 12], counts=[95.5, 0.5]), "needs 'counts'"),
        (dict(size=[8, 12], counts=[95, True]), "needs 'counts'"),
        (dict(size=[8, 12], counts=[float("nan")]), "needs 'counts'"),
        ([[1, 1, 24.5, 1, 5, 5]], "further outside"),
        ([[1, 1, 5, 20.5, 5, 5]], "further outside"),
        ([[1, -12.5, 5, 1, 5, 5]], "further outside"),
        (dict(size=[8, 12], counts="08X1"), "do not sum"),
        (dict(size=[8, 12], counts=b"P3"), "are bytes"),
    ],
)
def test_a_mask_that_cannot_be_read_is_refused_with_the_cause(segmentation, message):
    with pytest.raises(ValueError, match=message):
        mask_state(segmentation, 8, 12)


def test_a_size_of_true_is_refused():
    assert mask_state(dict(size=[1, 1.0], counts=[0, 1]), 1, 1) == "drawn"
    with pytest.raises(ValueError, match="'size' of an RLE"):
        mask_state(dict(size=[1, True], counts=[0, 1]), 1, 1)


def test_negative_runs_are_refused():
    assert decode_counts("1001O").tolist() == [1, 0, 0, 1, -1]
    with pytest.raises(ValueError, match="do not sum"):
        mask_state(dict(size=[1, 1], counts="1001O"), 1, 1)
