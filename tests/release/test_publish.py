"""A run of a tiny model, released and verified."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from mmdet.apis import DetInferencer
from mmengine.config import Config
from runs import build_runner, make_shapes, shapes_config
from zoo import add_to_zoo, zoo_facts

from mmdet_embedmask.files import sha256
from mmdet_embedmask.release import folder as release_folder
from mmdet_embedmask.release.folder import publish
from mmdet_embedmask.release.verification import verify_release, write_sums

NAME = "embedmask_tiny_shapes"
SHAPES = dict(dataset="shapes val", training_data="shapes", url="http://127.0.0.1:1/zoo/")


@pytest.fixture(scope="module")
def facts(run):
    """For the zoo that the run's config lies in; the run itself had changes to it."""
    work_dir, _, runner = run
    config = runner.cfg.copy()
    config.merge_from_dict({"train_cfg.max_iters": 1000, "work_dir": "another"})
    return zoo_facts(add_to_zoo(work_dir / "clone", f"{NAME}.py", config), **SHAPES)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Folder of a run of two iterations with averaged weights, and one of its images."""
    root = tmp_path_factory.mktemp("shapes")
    make_shapes(root, 2, size=64)
    work_dir = tmp_path_factory.mktemp("run")
    cfg = shapes_config(root, work_dir, 4, **{"model.test_cfg.score_thr": 0.005})
    cfg.default_hooks.checkpoint.interval = 2
    cfg.default_hooks.logger.interval = 1
    cfg.custom_hooks.append(dict(type="EMAHook", ema_type="ExpMomentumEMA", momentum=0.5))
    runner = build_runner(cfg)
    runner.train()
    return work_dir, sorted((root / "train").glob("*.*"))[0], runner


@pytest.fixture(scope="module")
def publish_run(run, facts):
    """Publishes a checkpoint of the run by its file name."""
    work_dir, image, _ = run

    def made(checkpoint, out, facts=facts, metrics=None):
        options = dict(work_dir=work_dir, image=image, facts=facts, metrics=metrics)
        return publish(work_dir / checkpoint, out=out, **options)

    return made


@pytest.fixture(scope="module")
def released(publish_run, tmp_path_factory):
    return publish_run("iter_4.pth", tmp_path_factory.mktemp("out"))


@pytest.fixture
def copied(released, tmp_path):
    return Path(shutil.copytree(released, tmp_path / released.name))


def test_the_folder_holds_all_of_it(released):
    name = released.name
    assert name.startswith("embedmask_tiny_shapes_20")
    assert sorted(p.relative_to(released).as_posix() for p in released.rglob("*.*")) == sorted(
        [
            f"{name}.pth",
            f"{name}.py",
            f"{name}.log",
            f"{name}.log.json",
            "metrics.json",
            "environment.json",
            "metafile_entry.yml",
            "readme_row.md",
            "verification/input.png",
            "verification/output.json",
        ]
    )
    assert list(released.parent.iterdir()) == [released]
    assert released.stat().st_mode & 0o777 == 0o755


def test_the_name_ends_with_the_checkpoints_hash(released):
    sums = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=released, capture_output=True, text=True
    )
    assert sums.returncode == 0 and sums.stdout.count(": OK") == 10
    (line,) = [x for x in (released / "SHA256SUMS").read_text().splitlines() if x.endswith(".pth")]
    assert released.name.endswith(f"-{line[:8]}")


def test_the_weights_are_the_averaged_ones_alone(run, released):
    """Loaded by a torch that has not seen this package."""
    work_dir, _, runner = run
    program = (
        "import sys, torch; c = torch.load(sys.argv[1], weights_only=True);"
        "torch.save(c['state_dict'], sys.argv[2]); print(sorted(c), sorted(c['meta']))"
    )
    weights = work_dir / "weights.pth"
    path = released / f"{released.name}.pth"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), str(weights)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    run_meta = ["epoch", "iter", "seed", "time"]
    meta = sorted(["cfg", "dataset_meta", "mmdet_embedmask", "mmengine_version", *run_meta])
    assert done.stdout.strip() == f"['meta', 'state_dict'] {meta}"
    state = torch.load(weights, weights_only=True)
    (ema,) = [hook for hook in runner.hooks if type(hook).__name__ == "EMAHook"]
    averaged = ema.ema_model.module.state_dict()
    assert state.keys() == averaged.keys()
    for key, value in averaged.items():
        assert torch.equal(value, state[key]), key
    last = runner.model.state_dict()
    assert any(not torch.equal(last[key], state[key]) for key in state)


def test_config_and_checkpoint_name_nothing_of_the_run(released):
    text = (released / f"{released.name}.py").read_text()
    config = Config.fromfile(released / f"{released.name}.py")
    assert "work_dir" not in text and config.load_from is None and config.resume is False
    checkpoint = torch.load(released / f"{released.name}.pth", weights_only=True)
    assert checkpoint["meta"]["cfg"] == text


def test_metrics_are_those_of_the_checkpoint(run, released):
    lines = [
        json.loads(x) for x in (released / f"{released.name}.log.json").read_text().splitlines()
    ]
    evaluated = [line for line in lines if "coco/segm_mAP" in line]
    metrics = json.loads((released / "metrics.json").read_text())
    assert metrics == {k: v for k, v in evaluated[-1].items() if k.startswith("coco/")}
    assert "Iter(train) [4/4]" in (released / f"{released.name}.log").read_text()


def test_the_entry_can_be_pasted_into_the_metafile(released):
    (entry,) = yaml.safe_load((released / "metafile_entry.yml").read_text())
    assert (
        entry["Name"] == "embedmask_tiny_shapes"
        and entry["Config"] == f"configs/embedmask/{NAME}.py"
    )
    assert entry["Weights"] == f"http://127.0.0.1:1/zoo/{released.name}/{released.name}.pth"
    assert entry["Metadata"]["Schedule"] == "4 iterations"
    row = (released / "readme_row.md").read_text()
    assert "[embedmask_tiny_shapes](configs/embedmask/embedmask_tiny_shapes.py)" in row
    assert f"[log](http://127.0.0.1:1/zoo/{released.name}/{released.name}.log.json)" in row


def test_the_inferencer_needs_the_checkpoint_alone(run, released):
    weights = str(released / f"{released.name}.pth")
    inferencer = DetInferencer(weights=weights, device="cpu", show_progress=False)
    (found,) = inferencer(str(run[1]))["predictions"]
    assert len(found["masks"]) == len(found["scores"]) > 0
    assert inferencer.model.dataset_meta["classes"] == ["ellipse", "polygon", "ring"]


def test_an_untouched_release_is_verified_without_a_difference(released):
    agreement = verify_release(released)
    assert agreement.holds and agreement.detections > 0
    assert agreement.box == agreement.score == 0 and agreement.mask_iou == 1


def test_verify_finds_a_missing_file(copied):
    (copied / "environment.json").unlink()
    with pytest.raises(ValueError, match="environment.json is missing"):
        verify_release(copied)


def test_verify_finds_a_changed_file(copied):
    (copied / "metrics.json").write_text("{}")
    with pytest.raises(ValueError, match="metrics.json has changed since it was released"):
        verify_release(copied)


def test_verify_finds_an_added_file(copied):
    (copied / "virus.py").write_text("")
    with pytest.raises(ValueError, match="holds files that were not released: virus.py"):
        verify_release(copied)


def test_verify_finds_a_model_that_predicts_something_else(copied):
    path = copied / "verification" / "output.json"
    records = json.loads(path.read_text())
    records[0]["score"] += 0.5
    path.write_text(json.dumps(records))
    write_sums(copied)
    with pytest.raises(ValueError, match="predicts something else than what is stored: 1 of"):
        verify_release(copied)


def test_verify_finds_foreign_code_in_the_checkpoint(copied):
    (path,) = copied.glob("*.pth")
    path.unlink()
    content = dict(state_dict={}, meta=dict(cfg="", foreign=pytest.raises))
    torch.save(content, copied / "x.pth")
    digits = sha256((copied / "x.pth").read_bytes())[:8]
    (copied / "x.pth").rename(copied / f"x-{digits}.pth")
    write_sums(copied)
    with pytest.raises(ValueError, match="holds more than tensors: .*raises"):
        verify_release(copied)


def test_a_folder_that_is_no_release_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is not a release folder: it has no SHA256SUMS"):
        verify_release(tmp_path)


def test_an_interrupted_release_leaves_nothing(publish_run, tmp_path, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(release_folder, "_write_verification", stop)
    with pytest.raises(KeyboardInterrupt):
        publish_run("iter_4.pth", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_release_is_not_overwritten(publish_run, released):
    with pytest.raises(ValueError, match="exists already"):
        publish_run("iter_4.pth", released.parent)


def test_a_checkpoint_that_was_not_evaluated_needs_metrics(publish_run, tmp_path):
    with pytest.raises(ValueError, match="has not evaluated .*iter_2.pth: run tools/test.py"):
        publish_run("iter_2.pth", tmp_path)
    measured = tmp_path / "measured.json"
    measured.write_text(json.dumps({"coco/segm_mAP": 0.25, "coco/segm_mAP_l": -1.0, "time": 3}))
    target = publish_run("iter_2.pth", tmp_path, metrics=measured)
    (entry,) = yaml.safe_load((target / "metafile_entry.yml").read_text())
    assert [result["Metrics"] for result in entry["Results"]] == [{"mask AP": 25.0}]


def test_an_image_without_a_detection_verifies_nothing(publish_run, released, tmp_path):
    checkpoint = torch.load(released / f"{released.name}.pth", weights_only=True)
    text = checkpoint["meta"]["cfg"]
    checkpoint["meta"]["cfg"] = text.replace("score_thr=0.005", "score_thr=0.999")
    assert checkpoint["meta"]["cfg"] != text
    torch.save(checkpoint, tmp_path / "blind.pth")
    config = Config.fromstring(checkpoint["meta"]["cfg"], ".py")
    facts = zoo_facts(add_to_zoo(tmp_path, "blind.py", config), **SHAPES)
    with pytest.raises(ValueError, match="detects nothing on .* would verify nothing"):
        publish_run(tmp_path / "blind.pth", tmp_path / "out", facts)
