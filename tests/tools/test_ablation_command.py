"""The ablation command, with training replaced by a program that writes what a run leaves."""

import json
import sys
from pathlib import Path

import pytest
from runs import CONFIGS

ROOT = Path(__file__).resolve().parents[2]
CONFIG = CONFIGS / "embedmask_r18_fpn_dsb2018.py"


@pytest.fixture
def ablation(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import ablation

    return ablation


@pytest.fixture
def trained(ablation, monkeypatch):
    """Commands that would have trained; each run ends with a mask AP of 0.4 + seed / 10."""
    commands = []

    def run(command, work_dir):
        commands.append([str(part) for part in command])
        assert command[command.index("--work-dir") + 1] == str(work_dir)
        (seed,) = [part for part in commands[-1] if part.startswith("randomness.seed=")]
        metrics = {"coco/bbox_mAP": 0.5, "coco/segm_mAP": 0.4 + int(seed[-1]) / 10}
        log = work_dir / "20260101_000000" / "vis_data" / "scalars.json"
        log.parent.mkdir(parents=True)
        log.write_text(json.dumps(metrics) + "\n")
        return 10**9

    monkeypatch.setattr(ablation, "run_training", run)
    return commands


BOTH_HEADS = """
_base_ = "base.py"
model = dict(bbox_head=dict({setting}), mask_head=dict({setting}))
"""
METAFILE = """
Models:
  - Name: base_d4
    Results: [{Task: Instance Segmentation, Dataset: COCO minival, Metrics: {mask AP: 34.4}}]
"""


@pytest.fixture
def rows(tmp_path):
    """Options that name a small base and two rows: COCO's configs take seconds to read."""
    folder = tmp_path / "configs"
    folder.mkdir()
    head = "dict(embed_dim=16, embedding='both')"
    (folder / "base.py").write_text(f"model = dict(bbox_head={head}, mask_head={head})\n")
    (folder / "metafile.yml").write_text(METAFILE)
    for name, setting in (("d4", "embed_dim=4"), ("spatial-free", "embedding='spatial_free'")):
        (folder / f"base_{name}.py").write_text(BOTH_HEADS.format(setting=setting))
    named = [folder / f"base_{name}.py" for name in ("d4", "spatial-free")]
    options = ["--rows", *named, "--base", folder / "base.py", "--metafile"]
    return [str(option) for option in (*options, folder / "metafile.yml")]


def test_every_row_and_seed_is_trained_once_with_its_settings(
    ablation, trained, tmp_path, capsys, rows
):
    command = [str(CONFIG), "--work-dir", str(tmp_path), *rows]
    ablation.main([*command, "--seeds", "0", "2", "--cfg-options", "train_cfg.max_iters=7"])
    assert len(trained) == 6
    assert all(c[0] == sys.executable and c[1].endswith("train.py") for c in trained)
    assert all("train_cfg.max_iters=7" in c and str(CONFIG) in c for c in trained)
    settings = [{part for part in c if part.startswith("model.")} for c in trained[:3]]
    assert settings == [
        set(),
        {"model.bbox_head.embed_dim=4", "model.mask_head.embed_dim=4"},
        {"model.bbox_head.embedding=spatial_free", "model.mask_head.embedding=spatial_free"},
    ]
    table = (tmp_path / "ablation.md").read_text()
    assert (
        "50.0 (40.0 to 60.0)" in table and "| 34.4 " in table and table in capsys.readouterr().out
    )
    results = json.loads((tmp_path / "ablation.json").read_text())
    assert [run["coco/segm_mAP"] for run in results["d4"]] == pytest.approx([0.4, 0.6])

    # Another seed: what is finished is not trained again.
    options = ["--cfg-options", "train_cfg.max_iters=7"]
    ablation.main([*command, "--seeds", "0", "1", "2", *options])
    assert len(trained) == 9 and all("randomness.seed=1" in c for c in trained[6:])
    # Other options must not be mixed with what lies there.
    with pytest.raises(SystemExit, match="holds a run with other options"):
        ablation.main([*command, "--seeds", "0"])
    assert len(trained) == 9


def test_a_failed_run_names_its_output(ablation, monkeypatch, tmp_path, rows):
    monkeypatch.setattr(ablation, "_TOOLS", tmp_path)  # where there is no train.py
    with pytest.raises(SystemExit, match=r"base.seed_0: .* code 2, see .*output.txt"):
        ablation.main([str(CONFIG), "--work-dir", str(tmp_path), "--seeds", "0", *rows])


def test_a_missing_config_is_named(ablation, tmp_path, capsys):
    with pytest.raises(SystemExit):
        ablation.main(["nothing.py", "--work-dir", str(tmp_path)])
    assert "nothing.py is not a file" in capsys.readouterr().err
