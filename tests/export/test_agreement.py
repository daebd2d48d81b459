import numpy as np
import pytest

from mmdet_embedmask.export.agreement import Agreement, Detected, agreement, worst


def detected(*order, **changes):
    values = dict(
        bboxes=np.array([[0.0, 0, 8, 8], [4, 4, 20, 20], [0, 0, 8, 8]]),
        scores=np.array([0.9, 0.5, 0.5]),
        labels=np.array([0, 1, 1]),
        probabilities=np.arange(12).reshape(3, 2, 2) / 12,
    )
    order = list(order or range(3))
    return Detected(**{key: value[order] for key, value in (values | changes).items()})


def test_the_same_detections_in_another_order_agree():
    found = agreement(detected(), detected(0, 2, 1))
    assert found == Agreement(3, 0, 0, 0.0, 0.0, 0.0) and found.holds


def test_the_largest_differences_are_told():
    changed = detected(
        bboxes=np.array([[0, 0, 8, 8.005], [4, 4, 20, 20], [0, 0, 8, 8]]),
        scores=np.array([0.9, 0.5002, 0.5]),
        probabilities=np.arange(12).reshape(3, 2, 2) / 12 - 0.0005,
    )
    found = agreement(detected(), changed)
    values = (found.box, found.score, found.probability)
    assert values == pytest.approx((0.005, 0.0002, 0.0005), rel=1e-6)
    assert found.holds


@pytest.mark.parametrize(
    "found",
    [
        detected(0, 1),
        detected(labels=np.array([0, 1, 0])),
        detected(bboxes=np.array([[0, 0, 8, 8.02], [4, 4, 20, 20], [0, 0, 8, 8]])),
        detected(scores=np.array([0.9, 0.5, 0.502])),
        detected(scores=np.array([0.9, 0.5, np.nan])),
        detected(probabilities=np.arange(12).reshape(3, 2, 2) / 12 + 0.002),
        detected(probabilities=np.full((3, 2, 2), np.nan)),
    ],
)
def test_more_than_rounding_does_not_agree(found):
    assert not agreement(detected(), found).holds
    assert not worst([agreement(detected(), detected()), agreement(detected(), found)]).holds


def test_several_images_are_as_far_apart_as_their_worst():
    parts = [Agreement(3, 0, 0, 0.1, 0.02, 0.3), Agreement(4, 1, 2, 0.2, 0.01, 0.1)]
    assert worst(parts) == Agreement(7, 1, 2, 0.2, 0.02, 0.3)
    assert str(worst(parts)).startswith("7 detections, 1 more or fewer in the file, 2 labels diff")
