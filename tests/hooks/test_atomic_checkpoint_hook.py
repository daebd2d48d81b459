"""A run killed at any moment can go on from a whole checkpoint, at most one interval back."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mmengine.runner import CheckpointLoader
from runs import build_runner, make_shapes, shapes_config

from mmdet_embedmask import AtomicCheckpointHook, files

INTERVAL = 2


def run_config(root, work_dir, max_iters, keep=1):
    return shapes_config(
        root,
        work_dir,
        max_iters,
        **{
            "default_hooks.checkpoint.interval": INTERVAL,
            "default_hooks.checkpoint.max_keep_ckpts": keep,
            "train_cfg.val_interval": 1000,
        },
    )


def last_iteration(work_dir: Path) -> int:
    """Iteration of the checkpoint that `last_checkpoint` names; it must be readable."""
    path = (work_dir / "last_checkpoint").read_text().strip()
    return int(CheckpointLoader.load_checkpoint(path)["meta"]["iter"])


def checkpoints(work_dir):
    return sorted(path.name for path in work_dir.iterdir() if ".pth" in path.name)


def test_keeps_the_newest_and_names_the_last(tmp_path):
    root = make_shapes(tmp_path / "shapes", 2, size=64)
    build_runner(run_config(root, tmp_path / "run", 7, keep=2)).train()
    assert checkpoints(tmp_path / "run") == ["iter_6.pth", "iter_7.pth"]
    assert last_iteration(tmp_path / "run") == 7


class Killed(BaseException):
    """Stands for SIGKILL: nothing that follows runs."""


@pytest.mark.parametrize("place", ["in the file", "before the move", "before the pointer"])
def test_killed_while_saving_the_only_kept_checkpoint(tmp_path, monkeypatch, place):
    root, work_dir = make_shapes(tmp_path / "shapes", 2, size=64), tmp_path / "run"
    write_bytes, replace, calls = Path.write_bytes, os.replace, []

    def is_second(path, name):
        calls.append(Path(path).name)
        return [c.startswith(name) for c in calls].count(True) == 2

    def half_written(path, content):
        if place == "in the file" and is_second(path, "iter_"):
            write_bytes(path, content[: len(content) // 2])
            raise Killed
        return write_bytes(path, content)

    def not_moved(source, target):
        wanted = {"before the move": "iter_", "before the pointer": "last_checkpoint"}.get(place)
        if wanted and is_second(target, wanted):
            raise Killed
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half_written)
        patch.setattr(files.os, "replace", not_moved)
        with pytest.raises(Killed):
            build_runner(run_config(root, work_dir, 6)).train()
    assert last_iteration(work_dir) == INTERVAL

    cfg = run_config(root, work_dir, 6)
    cfg.resume = True
    runner = build_runner(cfg)
    runner.train()
    assert runner.iter == last_iteration(work_dir) == 6
    assert "iter_6.pth" in checkpoints(work_dir)
    assert not list(work_dir.glob("*.tmp"))


def test_a_misspelt_argument_is_refused_before_training():
    with pytest.raises(TypeError, match="AtomicCheckpointHook has no arguments.*max_keep_checkpts"):
        AtomicCheckpointHook(interval=1, max_keep_checkpts=1)


def test_another_backend_is_left_alone(tmp_path):
    root = make_shapes(tmp_path / "shapes", 2, size=64)
    cfg = run_config(root, tmp_path / "run", 2)
    cfg.default_hooks.checkpoint.backend_args = dict(backend="local")
    runner = build_runner(cfg)
    runner.train()
    hook = next(hook for hook in runner.hooks if isinstance(hook, AtomicCheckpointHook))
    assert hook.backend_args == dict(backend="local")
    assert last_iteration(tmp_path / "run") == 2


CHILD = """
import sys
from mmengine.config import Config
from mmengine.runner import Runner
import mmdet_embedmask
cfg = Config.fromfile(sys.argv[1])
cfg.resume = True
Runner.from_cfg(cfg).train()
"""


@pytest.mark.slow
def test_killed_again_and_again_no_more_than_an_interval_is_lost(tmp_path):
    work_dir, total = tmp_path / "run", 60
    cfg = run_config(make_shapes(tmp_path / "shapes", 2, size=64), work_dir, total)
    cfg.default_hooks.logger.interval = 1
    cfg.dump(tmp_path / "config.py")
    log, rng, reached, kills = tmp_path / "log.txt", random.Random(0), 0, 0
    command = [sys.executable, "-c", CHILD, str(tmp_path / "config.py")]
    while reached < total:
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        wait_for_training(process, log)
        try:
            process.wait(timeout=rng.uniform(0.1, 1.5))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        assert process.returncode in (0, -signal.SIGKILL), log.read_text()[-3000:]
        seen = iterations(log)
        reached = last_iteration(work_dir) if (work_dir / "last_checkpoint").exists() else 0
        assert reached >= max(seen, default=0) - INTERVAL
    print(f"{kills} kills")
    assert kills >= 5 and reached == total


def iterations(log):
    words = log.read_text().split("Iter(train) [")[1:]
    return [int(word.split("/")[0]) for word in words]


def wait_for_training(process, log, seconds=120):
    end = time.monotonic() + seconds
    while not iterations(log) and process.poll() is None:
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.05)
