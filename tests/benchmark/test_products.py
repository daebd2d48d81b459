import pytest
import torch

from mmdet_embedmask.benchmark import products
from mmdet_embedmask.benchmark.mask_stage import MaskStage
from mmdet_embedmask.benchmark.products import (
    Ceilings,
    border_tiles,
    coupling,
    measure_ceilings,
    measure_products,
    milliseconds_each,
    without_tf32,
)
from mmdet_embedmask.functional.coupling import squared_distance
from mmdet_embedmask.functional.dense_masks import MaskRecipe
from mmdet_embedmask.functional.mask_prediction import predict_masks
from mmdet_embedmask.functional.mask_tiles import TILE, border_masks

STAGE = MaskStage(
    instances=5, area=0.06, img_shape=(150, 200), size=(180, 230), recipe=MaskRecipe(0.5)
)


def test_the_product_of_coupling_gives_its_distances():
    made = coupling(STAGE)
    distance = made.multiply(*made.factors)
    expected = squared_distance(*STAGE.embeddings()[:3]).flatten(1)
    torch.testing.assert_close(distance.clamp(min=0).float(), expected)
    # The pixel embedding has 20 x 28 cells of 16 channels.
    assert made.shape == "5 x 32 by 32 x 560"
    assert made.operations == 2 * 5 * 32 * 560


def test_the_products_of_border_tiles_are_those_of_the_masks(monkeypatch):
    seen = []

    def noted(probability, border, axes, mask_thr):
        for tiles, masks in border_masks(probability, border, axes, mask_thr):
            seen.append(masks)
            yield tiles, masks

    monkeypatch.setattr("mmdet_embedmask.functional.mask_prediction.border_masks", noted)
    predict_masks(
        *STAGE.embeddings(), img_shape=STAGE.img_shape, size=STAGE.size, recipe=STAGE.recipe
    )
    made = border_tiles(STAGE)
    assert all(factor.dtype == torch.float64 for factor in made.factors)
    resized = made.multiply(*made.factors)
    assert torch.equal(resized > 0.5, torch.cat(seen))
    rows, cells, columns = (factor.shape for factor in made.factors)
    number, lines, high = rows
    wide = columns[2]
    assert (lines, columns[1]) == (TILE, TILE) and cells == (number, high, wide)
    assert made.shape == f"{number} times 32 x {high} by {high} x {wide} by {wide} x 32"
    assert made.operations == 2 * number * (high * wide * 32 + 32 * high * 32)


def test_both_are_timed_in_both_types_without_tf32(monkeypatch):
    timed = []

    def each(run, device):
        timed.append((run.args[-1].dtype, torch.get_float32_matmul_precision(), device))
        return 8.0 / len(timed)

    monkeypatch.setattr(products, "milliseconds_each", each)
    first, second = measure_products(STAGE)
    assert [first.name, second.name] == ["coupling", "border tiles"]
    assert (first.float64_ms, first.float32_ms, second.float64_ms) == (8, 4, pytest.approx(8 / 3))
    kinds = [(torch.float64, "highest", "cpu"), (torch.float32, "highest", "cpu")]
    assert timed == kinds * 2


@pytest.mark.parametrize("options", [dict(upsample="embedding"), dict(crop_to_box=True)])
def test_a_recipe_that_couples_elsewhere_is_refused(options):
    stage = MaskStage(
        instances=2, area=0.1, img_shape=(64, 64), size=(64, 64), recipe=MaskRecipe(0.5, **options)
    )
    with pytest.raises(ValueError, match="couples at the mask stride: take upsample='probability'"):
        border_tiles(stage)


def test_ceilings_are_bytes_and_operations_a_second(monkeypatch):
    times = iter([2.0, 0.5, 4.0])
    monkeypatch.setattr(products, "milliseconds_each", lambda run, device: next(times))
    found = measure_ceilings("cpu", copied=10**6, side=100)
    # A copy reads and writes.
    assert found == Ceilings(copy=10**9, float32=4 * 10**9, float64=5 * 10**8)


def test_short_calls_are_repeated(monkeypatch):
    calls, now = [], [0.0]

    class Clock:
        """A call takes 5 ms."""

        def __init__(self, device):
            self.marks = []

        def mark(self):
            self.marks.append(5.0 * len(calls))

        def intervals(self):
            first, last = self.marks
            self.marks = []
            return [last - first]

    monkeypatch.setattr(products, "clock_for", Clock)
    assert milliseconds_each(lambda: calls.append(now), "cpu") == 5
    # Two to begin, one to see how long it takes, and five times as many as take 20 ms.
    assert len(calls) == 2 + 1 + 5 * 4


def test_tf32_is_as_before_afterwards_also_after_an_error():
    torch.set_float32_matmul_precision("high")
    try:
        with pytest.raises(RuntimeError), without_tf32():
            assert torch.get_float32_matmul_precision() == "highest"
            raise RuntimeError
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")
