import pytest

from mmdet_embedmask.benchmark.inference_memory import InferenceMemory
from mmdet_embedmask.benchmark.side_by_side import (
    Measured,
    Spread,
    comparison_figure,
    comparison_table,
)
from mmdet_embedmask.benchmark.stages import STAGE_NAMES


def run(**stages):
    return dict.fromkeys(STAGE_NAMES, 0.0) | stages


FCOS = Measured(
    "fcos",
    runs=[run(backbone=10.0, rest=t) for t in (0.0, 2.0, 1.0)],
    instances=3,
    mask_share=None,
    parameters=32_300_000,
)
OURS = Measured(
    "ours",
    runs=[run(backbone=10.0, masks=m) for m in (4.0, 2.0, 9.0)],
    instances=3,
    mask_share=0.25,
    parameters=34_800_000,
    flops=504_000_000_000,
    memory=InferenceMemory(100_000_000, 120_000_000),
)


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_a_detector_and_only_the_stages_that_ran():
    header, _, fcos, ours = comparison_table([FCOS, OURS]).splitlines()
    assert cells(header) == [
        "detector", "whole (ms)", "p95", "ratio", "backbone", "masks", "rest",
        "memory, network (MB)", "whole (MB)", "parameters (M)", "GFLOPs",
    ]  # fmt: skip
    assert cells(fcos) == [
        "fcos", "11 (10 to 12)", "12", "1.00", "10.0", "0.0", "1.0", "", "", "32.3", "",
    ]  # fmt: skip
    assert cells(ours) == [
        "ours", "14 (12 to 19)", "18", "1.27", "10.0", "4.0", "0.0", "100", "120", "34.8", "504",
    ]  # fmt: skip


def test_spreads_are_over_the_runs():
    assert OURS.stage("masks") == Spread(4.0, pytest.approx(8.5), 2.0, 9.0)
    assert OURS.total() == Spread(14.0, pytest.approx(18.5), 12.0, 19.0)
    assert OURS.total().text(2) == "14.00 (12.00 to 19.00)"
    content = OURS.to_json()
    assert content["total_ms"]["p50"] == 14.0 and content["stages_ms"]["masks"]["maximum"] == 9.0
    assert content["memory"]["whole"] == 120_000_000 and content["runs"][2]["masks"] == 9.0


def test_a_bar_is_the_sum_of_its_stages():
    axes = comparison_figure([FCOS, OURS]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["fcos", "ours"]
    ends = [
        max(p.get_x() + p.get_width() for p in axes.patches if p.get_y() == y) for y in (-0.4, 0.6)
    ]
    assert ends == pytest.approx([11.0, 14.0])
