import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmdet_embedmask.functional.coupling import mask_probability, squared_distance
from mmdet_embedmask.functional.proposal_frame import (
    MIN_HALF_SIDE,
    in_embedding_units,
    proposal_frames,
)

CENTERS = torch.tensor([[4.0, 12.0], [24.0, 8.0]])
STRIDES = torch.tensor([8.0, 16.0])
BOXES = torch.tensor([[0.0, 10.0, 60.0, 30.0], [20.0, 4.0, 21.0, 4.0]])


@pytest.mark.parametrize(
    "unit, positions, units",
    [
        ("image", CENTERS.tolist(), [[100, 100], [100, 100]]),
        ("level", CENTERS.tolist(), [[8, 8], [16, 16]]),
        # A box without height: its unit is half a cell of the mask stride.
        ("box", [[30, 20], [20.5, 4]], [[30, 10], [MIN_HALF_SIDE, MIN_HALF_SIDE]]),
    ],
)
def test_frames_by_hand(unit, positions, units):
    found = proposal_frames(unit, CENTERS, STRIDES, BOXES)
    assert [each.tolist() for each in found] == [positions, units]
    assert [
        each.shape for each in proposal_frames(unit, *(x[:0] for x in (CENTERS, STRIDES, BOXES)))
    ]


def test_in_the_papers_unit_nothing_changes_by_a_bit():
    predicted, margin = torch.randn(7, 5), torch.rand(7, 5)
    predicted.requires_grad_()
    _, units = proposal_frames("image", torch.rand(7, 2), torch.rand(7), torch.rand(7, 4))
    scaled = in_embedding_units(predicted, margin, units)
    assert torch.equal(scaled[0], predicted) and torch.equal(scaled[1], margin)
    weights = torch.randn(7, 5)
    (gradient,) = torch.autograd.grad((scaled[0] * weights).sum(), predicted)
    assert torch.equal(gradient, weights)


@given(
    half_sides=st.tuples(st.floats(2, 500), st.floats(2, 500)),
    offset=st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
    precision=st.floats(0.01, 10),
)
def test_distances_are_measured_in_half_sides_of_the_box(half_sides, offset, precision):
    """For any box, of a pixel b half sides beside the middle: precision * |b - offset|^2."""
    sides = torch.tensor([half_sides], dtype=torch.float64)
    middle = torch.tensor([[300.0, 200.0]], dtype=torch.float64)
    boxes = torch.cat([middle - sides, middle + sides], dim=1)
    positions, units = proposal_frames("box", middle, sides[:, 0], boxes)
    predicted = torch.tensor([[*offset, 0.3]], dtype=torch.float64)
    predicted, margin = in_embedding_units(
        predicted, torch.full((1, 3), precision, dtype=torch.float64), units
    )
    proposal = predicted + torch.cat([positions / 100, torch.zeros(1, 1)], dim=1)
    beside = torch.tensor([0.7, -0.4], dtype=torch.float64)
    pixel = torch.cat([(middle[0] + beside * sides[0]) / 100, torch.tensor([0.3])])
    distance = squared_distance(pixel[:, None, None], proposal, margin)
    expected = precision * (beside - torch.tensor(offset, dtype=torch.float64)).square().sum()
    torch.testing.assert_close(distance[0, 0, 0], expected, rtol=1e-6, atol=1e-6)


def test_a_margin_of_ln_2_is_the_ellipse_in_the_box():
    box = torch.tensor([[20.0, 40.0, 140.0, 80.0]])
    positions, units = proposal_frames("box", box[:, :2], box[:, 0], box)
    predicted, margin = in_embedding_units(torch.zeros(1, 2), torch.full((1, 2), 2.0).log(), units)
    y, x = torch.meshgrid(torch.arange(120.0) + 0.5, torch.arange(160.0) + 0.5, indexing="ij")
    mask = mask_probability(
        squared_distance(torch.stack([x, y]) / 100, predicted + positions / 100, margin)
    )[0]
    inside = ((x - 80) / 60) ** 2 + ((y - 60) / 20) ** 2
    assert (mask[inside < 0.999] > 0.5).all() and (mask[inside > 1.001] < 0.5).all()
