import json

import pytest

from mmdet_embedmask.benchmark.ablation import (
    AblationRow,
    ablation_table,
    changed_settings,
    final_metrics,
    finished_run,
    published_mask_ap,
    read_rows,
    write_finished,
)


def test_changed_settings_are_dotted_and_complete():
    base = dict(head=dict(dim=16, scale=1.0, norm=dict(type="GN")), kind="a")
    other = dict(
        head=dict(dim=8, scale=1.0, norm=dict(type="BN"), new=[1], branch=dict(a=dict(b=2))),
        kind="a",
    )
    # A dict that the base lacks comes apart too: a command line cannot carry it.
    changed = {"head.dim": 8, "head.norm.type": "BN", "head.new": [1], "head.branch.a.b": 2}
    assert changed_settings(base, other) == changed
    assert changed_settings(base, base) == {}


def test_a_removed_setting_cannot_be_carried_over():
    with pytest.raises(ValueError, match=r"lacks \['dim'\]"):
        changed_settings(dict(head=dict(dim=16)), dict(head=dict()))


def test_rows_are_read_from_configs_and_metafile(tmp_path):
    base, row = tmp_path / "net.py", tmp_path / "net_small.py"
    base.write_text("model = dict(head=dict(dim=16))\n")
    row.write_text("_base_ = './net.py'\nmodel = dict(head=dict(dim=4))\n")
    metafile = tmp_path / "metafile.yml"
    metafile.write_text(
        "Models:\n- Name: net_small\n  Results:\n"
        "  - {Dataset: COCO minival, Metrics: {mask AP: 34.4}}\n"
        "  - {Dataset: COCO test-dev, Metrics: {mask AP: 99.0}}\n"
    )
    assert published_mask_ap(metafile) == {"net_small": 34.4}
    assert read_rows(base, [row], metafile) == [
        AblationRow("base", {}, None),
        AblationRow("small", {"head.dim": 4}, 34.4),
    ]


def write_log(folder, *lines):
    folder.mkdir(parents=True)
    (folder / "scalars.json").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_final_metrics_are_the_last_of_the_newest_run(tmp_path):
    assert final_metrics(tmp_path) is None
    evaluated = [{"coco/bbox_mAP": 0.1 * i, "coco/segm_mAP": 0.2 * i} for i in (1, 2)]
    write_log(tmp_path / "20260101_000000" / "vis_data", {"loss": 1.0}, *evaluated)
    assert final_metrics(tmp_path) == {"coco/bbox_mAP": 0.2, "coco/segm_mAP": 0.4}
    write_log(tmp_path / "20260102_000000" / "vis_data", {"loss": 1.0})
    assert final_metrics(tmp_path) is None  # a newer run that was interrupted


def test_only_a_run_that_ended_with_the_same_options_is_finished(tmp_path):
    evaluated = {"coco/bbox_mAP": 0.1, "coco/segm_mAP": 0.2}
    # Evaluated on the way, and then killed.
    write_log(tmp_path / "20260101_000000" / "vis_data", evaluated, {"loss": 1.0})
    options = ["config.py", "randomness.seed=0"]
    assert finished_run(tmp_path, options) is None
    write_finished(tmp_path, options, evaluated)
    assert finished_run(tmp_path, options) == evaluated
    with pytest.raises(ValueError, match=r"other options, \['config.py', .* another --work-dir"):
        finished_run(tmp_path, ["config.py", "randomness.seed=1"])


def test_table_of_mean_and_spread():
    rows = [AblationRow("base", {}, 34.8), AblationRow("d4", {"head.dim": 4}, None)]
    runs = [{"coco/bbox_mAP": b, "coco/segm_mAP": m} for b, m in ((0.5, 0.40), (0.6, 0.43))]
    lines = ablation_table(rows, {"base": runs}).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[2] == ["base", "none", "2", "55.0 (50.0 to 60.0)", "41.5 (40.0 to 43.0)", "34.8"]
    assert cells[3] == ["d4", "head.dim=4", "0", "not run", "not run", ""]
