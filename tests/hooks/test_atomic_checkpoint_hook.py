"""A run killed at any moment can go on from a whole checkpoint, at most one interval back."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.fileio import LocalBackend
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, Runner
from runs import make_shapes, shapes_config
from torch import nn

from mmdet_embedmask import AtomicCheckpointHook, files
from mmdet_embedmask.hooks import atomic_checkpoint_hook

INTERVAL = 2


class OneWeight(BaseModel):
    """Learns one number: what is tested here is what the hook writes."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1, bias=False)

    def forward(self, inputs, mode="tensor"):
        return dict(loss=self.layer(inputs).sum()) if mode == "loss" else [inputs]


class Scores(BaseMetric):
    """Gives one validation after the other these scores."""

    def __init__(self, *scores):
        super().__init__()
        self.scores = list(scores)

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        return self.scores.pop(0)


class During(Hook):
    """Calls a function with the work folder after an iteration."""

    def __init__(self, iteration, function):
        self.iteration, self.function = iteration, function

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration:
            self.function(Path(runner.work_dir))


def small_run(work_dir, max_iters, scores=(), hooks=(), resume=False, **checkpoint):
    """A runner with the hook, validated every other iteration if there are scores."""
    loader = dict(
        batch_size=1,
        num_workers=0,
        dataset=[dict(inputs=torch.ones(1))] * 4,
        sampler=dict(type="InfiniteSampler"),
        collate_fn=dict(type="default_collate"),
    )
    validation = {}
    if scores:
        validation = dict(
            val_dataloader=loader | dict(sampler=dict(type="DefaultSampler", shuffle=False)),
            val_evaluator=[Scores(*scores)],
            val_cfg=dict(),
        )
    small_run.count += 1
    return Runner(
        model=OneWeight(),
        work_dir=str(work_dir),
        train_dataloader=loader,
        train_cfg=dict(
            type="IterBasedTrainLoop",
            max_iters=max_iters,
            val_interval=INTERVAL if scores else 1000,
        ),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9)),
        default_hooks=dict(
            checkpoint=dict(type="AtomicCheckpointHook", by_epoch=False)
            | dict(interval=INTERVAL, max_keep_ckpts=1)
            | checkpoint
        ),
        custom_hooks=list(hooks),
        resume=resume,
        default_scope="mmdet",
        experiment_name=f"one_weight_{small_run.count}",
        **validation,
    )


small_run.count = 0


def hook_of(runner):
    return next(hook for hook in runner.hooks if isinstance(hook, AtomicCheckpointHook))


def saved(path: Path):
    return CheckpointLoader.load_checkpoint(str(path))


def last_iteration(work_dir: Path) -> int:
    """Iteration of the checkpoint that `last_checkpoint` names; it must be readable."""
    return int(saved((work_dir / "last_checkpoint").read_text().strip())["meta"]["iter"])


def checkpoints(work_dir):
    return sorted(path.name for path in work_dir.iterdir() if ".pth" in path.name)


def test_the_newest_are_kept_and_the_last_is_named(tmp_path):
    runner = small_run(tmp_path, 7, max_keep_ckpts=2)
    runner.train()
    assert checkpoints(tmp_path) == ["iter_6.pth", "iter_7.pth"]
    assert last_iteration(tmp_path) == 7
    assert runner.message_hub.get_info("last_ckpt") == str(tmp_path / "iter_7.pth")
    assert "optimizer" in saved(tmp_path / "iter_7.pth")


def test_all_are_kept_without_a_limit_and_none_with_its_optimizer_if_not_asked_for(tmp_path):
    small_run(tmp_path, 4, max_keep_ckpts=0, save_optimizer=False).train()
    assert checkpoints(tmp_path) == ["iter_2.pth", "iter_4.pth"]
    assert "optimizer" not in saved(tmp_path / "iter_4.pth")


def test_a_resumed_run_removes_the_checkpoints_of_the_one_before(tmp_path):
    small_run(tmp_path, 4, max_keep_ckpts=2).train()
    small_run(tmp_path, 6, max_keep_ckpts=2, resume=True).train()
    assert checkpoints(tmp_path) == ["iter_4.pth", "iter_6.pth"]


def as_folder(work_dir):
    """What DeepSpeed saves."""
    (work_dir / "iter_2.pth").unlink()
    (work_dir / "iter_2.pth").mkdir()
    (work_dir / "iter_2.pth" / "rank_0.pt").touch()


@pytest.mark.parametrize("change", [as_folder, lambda folder: (folder / "iter_2.pth").unlink()])
def test_the_oldest_may_be_a_folder_or_gone(tmp_path, change):
    small_run(tmp_path, 4, hooks=[During(3, change)]).train()
    assert checkpoints(tmp_path) == ["iter_4.pth"]


class Killed(BaseException):
    """Stands for SIGKILL: nothing that follows runs."""


def kill_when(monkeypatch, folder, function, name):
    """Stop a run when a file whose name begins so is written or moved for the second time."""
    original, calls = getattr(os, function), []

    def killing(*args):
        # `fsync` is for the one file that is unfinished, or for the folder.
        path = Path(args[-1]) if function == "replace" else next(folder.glob("*.tmp"), folder)
        calls.append(path.name.startswith(name))
        if calls[-1] and sum(calls) == 2:
            if function == "fsync":
                os.truncate(path, path.stat().st_size // 2)
            raise Killed
        return original(*args)

    monkeypatch.setattr(files.os, function, killing)


@pytest.mark.parametrize(
    "function, name", [("fsync", "iter_"), ("replace", "iter_"), ("replace", "last_checkpoint")]
)
def test_a_run_killed_while_saving_resumes_from_the_checkpoint_before(
    tmp_path, monkeypatch, function, name
):
    """In the file, before it is moved to its name, and before `last_checkpoint` names it."""
    with monkeypatch.context() as patch:
        kill_when(patch, tmp_path, function, name)
        patch.setattr(Path, "unlink", lambda path, missing_ok=False: None)  # nobody tidies up
        with pytest.raises(Killed):
            small_run(tmp_path, 6).train()
    assert last_iteration(tmp_path) == INTERVAL
    assert list(tmp_path.glob("*.tmp"))

    runner = small_run(tmp_path, 6, resume=True)
    runner.train()
    assert runner.iter == last_iteration(tmp_path) == 6
    assert "iter_6.pth" in checkpoints(tmp_path)
    assert not list(tmp_path.glob("*.tmp"))


def test_only_what_a_killed_run_left_unfinished_is_removed(tmp_path, monkeypatch):
    left = ["iter_3.pth.1a2b3c4d.tmp", "iter_5.pth.tmp", "last_checkpoint.1a2b3c4d.tmp"]
    for name in [*left, "notes.tmp"]:
        (tmp_path / name).touch()
    monkeypatch.setattr(atomic_checkpoint_hook, "is_main_process", lambda: False)
    runner = small_run(tmp_path, 2)
    hook_of(runner).before_train(runner)
    assert {path.name for path in tmp_path.glob("*.tmp")} == {*left, "notes.tmp"}
    monkeypatch.undo()
    hook_of(runner).before_train(runner)
    assert [path.name for path in tmp_path.glob("*.tmp")] == ["notes.tmp"]


def test_what_another_process_has_removed_meanwhile_is_no_matter(tmp_path, monkeypatch):
    runner = small_run(tmp_path, 2)
    gone, left = tmp_path / "iter_3.pth.1a2b3c4d.tmp", tmp_path / "iter_5.pth.tmp"
    left.touch()
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: [gone, left] * (".pth" in pattern))
    hook_of(runner).before_train(runner)
    assert not left.exists()


def test_only_the_main_process_names_the_last(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic_checkpoint_hook, "is_main_process", lambda: False)
    small_run(tmp_path, 4).train()
    assert not (tmp_path / "last_checkpoint").exists()
    # MMEngine's part, which asks for itself, wrote; ours left the outdated one to the main process.
    assert checkpoints(tmp_path) == ["iter_2.pth", "iter_4.pth"]


def scores(*values):
    return [dict(score=value) for value in values]


BEST = dict(save_best="score", rule="greater")


def test_a_new_best_score_saves_its_step_once_more_and_counts_it_once(tmp_path):
    runner = small_run(tmp_path, 6, scores(1, 2, 3), max_keep_ckpts=2, **BEST)
    runner.train()
    assert checkpoints(tmp_path) == ["best_score_iter_6.pth", "iter_4.pth", "iter_6.pth"]
    hub = saved(tmp_path / "iter_6.pth")["message_hub"]
    assert hub["runtime_info"]["best_ckpt"] == str(tmp_path / "best_score_iter_6.pth")


def test_a_run_killed_while_saving_a_new_best_checkpoint_keeps_the_former(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_when(patch, tmp_path, "replace", "best_")
        with pytest.raises(Killed):
            small_run(tmp_path, 4, scores(1, 2), **BEST).train()
    assert saved(tmp_path / "best_score_iter_2.pth")["meta"]["iter"] == 2
    small_run(tmp_path, 8, scores(3, 4), resume=True, **BEST).train()
    assert checkpoints(tmp_path) == ["best_score_iter_8.pth", "iter_8.pth"]


def test_each_of_several_best_checkpoints_is_replaced_by_its_own(tmp_path):
    found = [dict(a=1, b=1), dict(a=2, b=0), dict(a=1, b=2)]
    small_run(tmp_path, 6, found, save_best=["a", "b"], rule="greater").train()
    assert checkpoints(tmp_path) == ["best_a_iter_4.pth", "best_b_iter_6.pth", "iter_6.pth"]


def test_a_best_checkpoint_may_replace_one_of_its_own_name(tmp_path):
    runner = small_run(tmp_path, 2, scores(1), **BEST)
    runner.train()
    hook_of(runner).after_val_epoch(runner, dict(score=2))
    assert checkpoints(tmp_path) == ["best_score_iter_2.pth", "iter_2.pth"]


def test_a_run_that_only_validates_saves_nothing(tmp_path):
    runner = small_run(tmp_path, 2, scores(1))
    runner.val_loop.run()
    assert not checkpoints(tmp_path)


def test_a_misspelt_argument_is_refused_before_training():
    with pytest.raises(TypeError, match="AtomicCheckpointHook has no arguments.*max_keep_checkpts"):
        AtomicCheckpointHook(interval=1, max_keep_checkpts=1)


def test_another_backend_is_left_alone(tmp_path):
    runner = small_run(tmp_path, 2, backend_args=dict(backend="local"))
    runner.train()
    assert hook_of(runner).backend_args == dict(backend="local")
    assert last_iteration(tmp_path) == 2


def test_a_folder_elsewhere_keeps_its_backend(tmp_path, monkeypatch):
    runner = small_run(tmp_path, 2, out_dir="s3://bucket/runs")
    asked = []

    def backend(uri, backend_args):
        asked.append((uri, backend_args))
        return LocalBackend()

    monkeypatch.setattr("mmengine.hooks.checkpoint_hook.get_file_backend", backend)
    monkeypatch.setattr("mmengine.fileio.FileClient.infer_client", lambda *args: None)
    hook_of(runner).before_train(runner)
    assert asked == [("s3://bucket/runs", None)]


CHILD = """
import sys
from mmengine.config import Config
from mmengine.runner import CheckpointLoader, Runner
import mmdet_embedmask
cfg = Config.fromfile(sys.argv[1])
cfg.resume = True
Runner.from_cfg(cfg).train()
"""


@pytest.mark.slow
def test_killed_again_and_again_no_more_than_an_interval_is_lost(tmp_path):
    work_dir, total = tmp_path / "run", 60
    options = {
        "default_hooks.checkpoint.interval": INTERVAL,
        "default_hooks.checkpoint.max_keep_ckpts": 1,
        "default_hooks.logger.interval": 1,
        "train_cfg.val_interval": 1000,
    }
    cfg = shapes_config(make_shapes(tmp_path / "shapes", 2, size=64), work_dir, total, **options)
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
