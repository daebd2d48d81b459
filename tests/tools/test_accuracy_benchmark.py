"""The accuracy benchmark, with training replaced by a program that writes what a run leaves."""

import json
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from runs import CONFIGS

ROOT = Path(__file__).resolve().parents[2]
OURS = str(CONFIGS / "embedmask_r18_fpn_dsb2018.py")


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import accuracy_benchmark

    return accuracy_benchmark


@pytest.fixture
def trained(tool, monkeypatch):
    """Configs that would have been trained; each run ends with a mask AP of 0.4 + seed / 10."""
    configs = []

    def run(command, work_dir):
        assert command[:2] == [sys.executable, str(ROOT / "tools" / "train.py")]
        assert command[3:] == ["--work-dir", str(work_dir)]
        configs.append(Config.fromfile(command[2]))
        schedule = configs[-1].train_cfg
        end, every = schedule.get("max_iters", schedule.get("max_epochs")), schedule.val_interval
        mask_ap = 0.4 + configs[-1].randomness.seed / 10
        metrics = [
            {"step": step, "coco/bbox_mAP": 0.5, "coco/segm_mAP": mask_ap * step / end}
            for step in range(every, end + 1, every)
        ]
        log = work_dir / "20260101_000000" / "vis_data" / "scalars.json"
        log.parent.mkdir(parents=True)
        log.write_text("\n".join(map(json.dumps, (dict(loss=1.0, time=0.5), *metrics))))
        return 10**9

    monkeypatch.setattr(tool, "run_training", run)
    return configs


SMALL = """
dataset = dict(type="CocoDataset", ann_file="own.json", data_prefix=dict(img="own/"))
train_dataloader = dict(batch_size=8, dataset=dataset)
val_dataloader = dict(batch_size=1, dataset=dataset)
test_dataloader = dict(batch_size=1, dataset=dataset)
val_evaluator = dict(type="CocoMetric", ann_file="own.json")
test_evaluator = dict(type="CocoMetric", ann_file="own.json")
train_cfg = dict(max_iters=300, val_interval=300)
optim_wrapper = dict(optimizer=dict(lr=0.1))
param_scheduler = [dict(type="LinearLR", begin=0, end=300)]
"""


def small_config(path, detector):
    """A config with what the tool reads and changes: large ones take a second to format."""
    path.write_text(f"model = dict(type='{detector}', bbox_head=dict(num_classes=80))\n{SMALL}")
    return str(path)


def test_every_detector_and_seed_is_trained_once_on_the_data(tool, trained, tmp_path, capsys):
    ours = small_config(tmp_path / "ours.py", "EmbedMask")
    peer = small_config(tmp_path / "peer.py", "CondInst")
    data = {}
    for name in ("train", "val"):
        (tmp_path / name).mkdir()
        data[name] = [str(tmp_path / f"{name}.json"), str(tmp_path / name)]
        Path(data[name][0]).write_text(json.dumps(dict(categories=[dict(name="a")] * 3)))
    command = [ours, peer, "--work-dir", str(tmp_path / "runs"), "--iterations", "60"]
    command += ["--batch-size", "3", "--train", *data["train"], "--val", *data["val"]]
    tool.main([*command, "--seeds", "0", "2", "--cfg-options", "optim_wrapper.optimizer.lr=0.5"])
    assert [(c.model.type, c.randomness.seed) for c in trained] == [
        ("EmbedMask", 0),
        ("CondInst", 0),
        ("EmbedMask", 2),
        ("CondInst", 2),
    ]
    for config in trained:
        assert config.train_cfg.max_iters == 60 and config.train_dataloader.batch_size == 3
        assert config.model.bbox_head.num_classes == 3
        assert config.train_dataloader.dataset.ann_file == data["train"][0]
        assert config.optim_wrapper.optimizer.lr == 0.5
    table = (tmp_path / "runs" / "accuracy.md").read_text()
    assert "50.0 (40.0 to 60.0)" in table and table in capsys.readouterr().out
    # What is finished is not trained again; --table-only trains nothing.
    options = ["--cfg-options", "optim_wrapper.optimizer.lr=0.5"]
    tool.main([*command, "--seeds", "0", "1", "2", "--table-only", *options])
    assert len(trained) == 4
    tool.main([*command, "--seeds", "0", "1", *options])
    assert [c.randomness.seed for c in trained[4:]] == [1, 1]
    with pytest.raises(SystemExit, match="holds a run with other options"):
        tool.main([*command, "--seeds", "0"])


def test_by_the_clock_every_detector_has_its_own_iterations(
    tool, trained, tmp_path, capsys, monkeypatch
):
    ours = small_config(tmp_path / "ours.py", "EmbedMask")
    peer = small_config(tmp_path / "peer.py", "CondInst")
    for path in (Path(ours), Path(peer)):
        path.write_text(path.read_text().replace("begin=0, end=300", "begin=30, end=300"))
    asked = []

    def measured(configs, seconds):
        asked.append((list(configs), seconds))
        return dict(ours=90, peer=30)

    monkeypatch.setattr(tool, "iterations_for", measured)
    command = [ours, peer, "--work-dir", str(tmp_path / "runs"), "--seeds"]
    tool.main([*command, "0", "--seconds", "45"])
    assert [(c.model.type, c.train_cfg.max_iters) for c in trained] == [
        ("EmbedMask", 90),
        ("CondInst", 30),
    ]
    schedules = [(c.param_scheduler[0].begin, c.param_scheduler[0].end) for c in trained]
    assert schedules == [(9, 90), (3, 30)]
    assert "| 90 " in capsys.readouterr().out
    # Options hold after the schedule was stretched, too.
    options = ["--work-dir", str(tmp_path / "more"), "--cfg-options", "train_cfg.val_interval=15"]
    tool.main([ours, peer, *options, "--seconds", "45", "--seeds", "0"])
    assert [c.train_cfg.val_interval for c in trained[2:]] == [15, 15]
    assert (tmp_path / "more" / "curves.png").exists()
    del trained[2:], asked[1:]
    # More seeds train for the iterations that were measured before.
    tool.main([*command, "0", "1", "--seconds", "45"])
    assert asked == [(["ours", "peer"], 45.0)]
    assert [c.train_cfg.max_iters for c in trained[2:]] == [90, 30]
    with pytest.raises(SystemExit, match="was measured with other seconds: take another"):
        tool.main([*command, "0", "--seconds", "46"])
    with pytest.raises(SystemExit, match="was measured with other configs: take another"):
        tool.main([*command, "0", "--seconds", "45", "--batch-size", "4"])
    elsewhere = [ours, "--work-dir", str(tmp_path / "none"), "--seconds", "45", "--table-only"]
    with pytest.raises(SystemExit, match="iterations.json is missing"):
        tool.main(elsewhere)


def test_runs_that_are_evaluated_on_the_way_are_drawn(tool, trained, tmp_path, monkeypatch):
    config = small_config(tmp_path / "ours.py", "EmbedMask")
    drawn = []
    learning_figure = tool.learning_figure
    monkeypatch.setattr(tool, "learning_figure", lambda *a: drawn.append(a) or learning_figure(*a))
    command = [config, "--iterations", "60", "--seeds", "0", "2", "--work-dir"]
    tool.main([*command, str(tmp_path / "once")])
    assert not drawn and not (tmp_path / "once" / "curves.png").exists()
    work_dir = tmp_path / "thrice"
    tool.main([*command, str(work_dir), "--cfg-options", "train_cfg.val_interval=20"])
    ((runs, seconds),) = drawn
    assert seconds == {"ours": 0.5} and list(runs) == ["ours"]
    expected = [[(20, 0.4 / 3), (40, 0.8 / 3), (60, 0.4)], [(20, 0.2), (40, 0.4), (60, 0.6)]]
    for curve, points in zip(runs["ours"], expected, strict=True):
        assert [step for step, _ in curve] == [step for step, _ in points]
        assert [ap for _, ap in curve] == pytest.approx([ap for _, ap in points])
    assert (work_dir / "curves.png").read_bytes().startswith(b"\x89PNG")
    # Of a run that was interrupted, and of a detector that has none, nothing is drawn.
    log = work_dir / "ours" / "seed_1" / "20260101_000000" / "vis_data" / "scalars.json"
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({"step": 20, "coco/segm_mAP": 0.9}))
    other = small_config(tmp_path / "other.py", "CondInst")
    command = [config, other, "--iterations", "60", "--seeds", "0", "1", "2", "--table-only"]
    options = ["--cfg-options", "train_cfg.val_interval=20"]
    tool.main([*command, "--work-dir", str(work_dir), *options])
    assert [(list(runs), len(runs["ours"])) for runs, _ in drawn] == [(["ours"], 2)] * 2


def test_evaluations_that_are_numbered_by_epoch_are_not_drawn(tool, trained, tmp_path, monkeypatch):
    path = tmp_path / "epochs.py"
    small_config(path, "EmbedMask")
    schedule = "max_iters=300, val_interval=300"
    path.write_text(path.read_text().replace(schedule, "max_epochs=3, val_interval=1"))
    monkeypatch.setattr(tool, "learning_figure", lambda *_: pytest.fail("it was drawn"))
    tool.main([str(path), "--work-dir", str(tmp_path / "runs"), "--seeds", "0"])
    assert len(trained) == 1


def test_schedules_that_count_epochs_are_refused_before_anything_is_measured(
    tool, trained, tmp_path, monkeypatch
):
    path = tmp_path / "epochs.py"
    small_config(path, "EmbedMask")
    path.write_text(path.read_text().replace("max_iters=300", "max_epochs=3"))
    monkeypatch.setattr(tool, "iterations_for", lambda *_: pytest.fail("it was measured"))
    with pytest.raises(SystemExit, match="--iterations and --seconds need configs whose train_cfg"):
        tool.main([str(path), "--work-dir", str(tmp_path), "--seconds", "9"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.py"], "no.py is not a file"),
        ([OURS, OURS], "need different file names"),
        ([OURS, "--train", OURS, "."], "--train and --val belong together"),
        ([OURS, "--train", "no.json", ".", "--val", OURS, "."], "no.json is not a file"),
        ([OURS, "--train", OURS, ".", "--val", OURS, "none"], "none is not a folder"),
        ([OURS, "--iterations", "0"], "--iterations 0 must be at least 1"),
        ([OURS, "--seconds", "0"], "--seconds 0 must be greater than zero"),
        ([OURS, "--seconds", "9", "--iterations", "9"], "not allowed with argument"),
        ([OURS, "--batch-size", "-1"], "--batch-size -1 must be at least 1"),
        (
            [OURS, str(CONFIGS / "embedmask_r50_fpn_1x_coco.py")],
            "make them equal with --iterations",
        ),
    ],
)
def test_bad_arguments_are_told_before_training(
    tool, trained, tmp_path, capsys, arguments, message
):
    with pytest.raises(SystemExit) as exit_:
        tool.main([*arguments, "--work-dir", str(tmp_path)])
    assert message in f"{exit_.value} {capsys.readouterr().err}" and not trained
