"""NMS without compiled code keeps the same boxes, in the same order, as a naive reading of NMS."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.ops.nms import ext_module
from torch import Tensor

from mmdet_embedmask.compat.mmcv_ops import STAND_IN_ORIGIN, install_mmcv_ops
from mmdet_embedmask.compat.plain_nms import NMS_BLOCK, nms


def keep(boxes: list[list[float]], scores: list[float], threshold: float, offset: int = 0):
    return nms(torch.tensor(boxes).view(-1, 4), torch.tensor(scores), threshold, offset).tolist()


def naive_nms(boxes: Tensor, scores: Tensor, threshold: float, offset: int) -> list[int]:
    """One pair at a time in float32, as the compiled function goes."""
    b = boxes.numpy().astype(np.float32)
    one = np.float32(offset)
    areas = (b[:, 2] - b[:, 0] + one) * (b[:, 3] - b[:, 1] + one)
    kept: list[int] = []
    for j in scores.sort(0, descending=True)[1].tolist():
        for i in kept:
            width = min(b[i, 2], b[j, 2]) - max(b[i, 0], b[j, 0]) + one
            height = min(b[i, 3], b[j, 3]) - max(b[i, 1], b[j, 1]) + one
            inter = max(np.float32(0), width) * max(np.float32(0), height)
            union = areas[i] + areas[j] - inter
            if union != 0 and inter / union > np.float32(threshold):
                break
        else:
            kept.append(j)
    return kept


def test_the_worse_of_two_overlapping_boxes_goes():
    boxes = [[0.0, 0, 10, 10], [0, 0, 10, 8], [20, 20, 30, 30]]  # IoU of the first two: 0.8
    assert keep(boxes, [0.5, 0.9, 0.7], 0.7) == [1, 2]
    assert keep(boxes, [0.5, 0.9, 0.7], 0.85) == [1, 2, 0]


def test_a_dropped_box_drops_no_other():
    # Each overlaps the next by 1/3, the first and the third touch only.
    boxes = [[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10]]
    assert keep(boxes, [0.9, 0.8, 0.7], 0.3) == [0, 2]


def test_an_overlap_equal_to_the_threshold_is_kept():
    boxes = [[0.0, 0, 2, 1], [0, 0, 1, 1]]  # IoU 0.5, exact in floating point
    assert keep(boxes, [0.9, 0.8], 0.5) == [0, 1]
    assert keep(boxes, [0.9, 0.8], 0.49) == [0]


def test_the_threshold_is_rounded_to_the_type_of_the_boxes():
    boxes = [[0.0, 0, 10, 1], [0, 0, 7, 1]]  # IoU is float32(0.7), which is less than 0.7
    assert keep(boxes, [0.9, 0.8], 0.7) == [0, 1]
    assert keep(boxes, [0.9, 0.8], 0.699999) == [0]


def test_offset_one_counts_the_last_pixel():
    boxes = [[0.0, 0, 1, 1], [1, 1, 2, 2]]  # 2 x 2 pixels each, one shared: IoU 1 / 7
    assert keep(boxes, [0.9, 0.8], 0.14, offset=1) == [0]
    assert keep(boxes, [0.9, 0.8], 0.15, offset=1) == [0, 1]
    assert keep(boxes, [0.9, 0.8], 0.0, offset=0) == [0, 1]


def test_equal_scores_keep_the_order_of_the_boxes():
    boxes = [[0.0, 0, 10, 10], [0, 0, 10, 10], [20, 0, 30, 10], [20, 0, 30, 10]]
    assert keep(boxes, [0.5, 0.5, 0.5, 0.5], 0.5) == [0, 2]


def test_boxes_without_area_suppress_nothing():
    boxes = [[3.0, 3, 3, 3], [3, 3, 3, 3], [0, 0, 5, 5]]
    assert keep(boxes, [0.9, 0.8, 0.7], 0.5) == [0, 1, 2]


def test_no_boxes_keep_none():
    kept = nms(torch.zeros(0, 4), torch.zeros(0), 0.5, 0)
    assert kept.shape == (0,) and kept.dtype == torch.int64


def test_one_box_is_kept():
    assert keep([[0.0, 0, 1, 1]], [0.3], 0.5) == [0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_are_not_compared_in_less_than_float32(dtype):
    # The areas, 512 x 512 and 512 x 448, exceed the range of float16.
    boxes = torch.tensor([[0, 0, 512, 512], [0, 0, 512, 448], [0, 0, 64, 64]], dtype=dtype)
    scores = torch.tensor([0.5, 0.75, 0.25], dtype=dtype)
    assert nms(boxes, scores, 0.8, 0).tolist() == [1, 2]
    assert nms(boxes, scores, 0.9, 0).tolist() == [1, 0, 2]


def test_boxes_with_a_gradient_are_taken():
    boxes = torch.tensor([[0.0, 0, 1, 1]], requires_grad=True)
    assert nms(boxes, torch.ones(1, requires_grad=True), 0.5, 0).tolist() == [0]


def random_boxes(n: int, seed: int, extent: float = 100.0) -> tuple[Tensor, Tensor]:
    """Boxes of which many overlap; scores of one digit, so that many are equal."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(n, 2, generator=generator) * extent
    sizes = torch.rand(n, 2, generator=generator) * 30
    scores = (torch.rand(n, generator=generator) * 10).round() / 10
    return torch.cat([corners, corners + sizes], 1), scores


@pytest.mark.parametrize("n", [NMS_BLOCK - 1, NMS_BLOCK, NMS_BLOCK + 1, 2 * NMS_BLOCK + 40])
def test_the_size_of_a_block_changes_nothing(n):
    boxes, scores = random_boxes(n, seed=n)
    assert nms(boxes, scores, 0.3, 0).tolist() == naive_nms(boxes, scores, 0.3, 0)


coordinates = st.tuples(*[st.integers(0, 12)] * 4)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(coordinates, st.integers(0, 4)), max_size=25),
    st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 0.6, 0.7, 1.0]),
    st.sampled_from([0, 1]),
)
def test_any_boxes_are_kept_as_the_naive_way_keeps_them(cases, threshold, offset):
    # Whole coordinates bring ties of overlap; unordered ones bring boxes turned inside out.
    boxes = torch.tensor([case[0] for case in cases], dtype=torch.float32).view(-1, 4)
    boxes = torch.cat([boxes[:, :2], torch.maximum(boxes[:, :2], boxes[:, 2:])], 1)
    scores = torch.tensor([case[1] for case in cases], dtype=torch.float32) / 4
    expected = naive_nms(boxes, scores, threshold, offset)
    assert nms(boxes, scores, threshold, offset).tolist() == expected


@pytest.fixture
def compiled_nms():
    """MMCV's own nms over its compiled function."""
    if install_mmcv_ops():
        pytest.skip(f"no compiled MMCV here: mmcv._ext is the {STAND_IN_ORIGIN}")
    return ext_module.nms


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.6, 0.7])
@pytest.mark.parametrize("n, extent", [(1, 1), (10, 20), (300, 60), (700, 300), (3000, 1000)])
def test_compiled_mmcv_keeps_the_same(compiled_nms, n, extent, threshold, offset):
    boxes, scores = random_boxes(n, seed=n, extent=extent)
    expected = compiled_nms(boxes, scores, iou_threshold=threshold, offset=offset)
    assert torch.equal(nms(boxes, scores, iou_threshold=threshold, offset=offset), expected)


@pytest.mark.parametrize("seed", range(5))
def test_compiled_mmcv_keeps_the_same_of_whole_coordinates(compiled_nms, seed):
    boxes, scores = random_boxes(500, seed=seed, extent=40)
    boxes = boxes.round()  # many ties of overlap, and boxes without area
    for threshold in (0.25, 0.5, 0.6):
        expected = compiled_nms(boxes, scores, iou_threshold=threshold, offset=0)
        assert torch.equal(nms(boxes, scores, threshold, 0), expected)
