import pytest

from mmdet_embedmask.benchmark.ablation import (
    AblationRow,
    ablation_table,
    changed_settings,
    published_mask_ap,
    read_rows,
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


def test_the_table_tells_mean_and_spread_beside_the_papers_figures():
    rows = [AblationRow("base", {}, 34.8), AblationRow("d4", {"head.dim": 4}, None)]
    runs = [{"coco/bbox_mAP": b, "coco/segm_mAP": m} for b, m in ((0.5, 0.40), (0.6, 0.43))]
    lines = ablation_table(rows, {"base": runs}).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[2] == ["base", "none", "2", "55.0 (50.0 to 60.0)", "41.5 (40.0 to 43.0)", "34.8"]
    assert cells[3] == ["d4", "head.dim=4", "0", "not run", "not run", ""]
