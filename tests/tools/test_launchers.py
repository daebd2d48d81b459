"""The shell launchers start the right command: python and srun are replaced by recorders."""

import os
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def launch(tmp_path):
    """Runs a launcher and returns what it called, word by word, and its exit status."""
    for program in ("python", "srun"):
        recorder = tmp_path / program
        recorder.write_text(f'#!/bin/sh\nprintf "%s\\n" {program} "$@"\n')
        recorder.chmod(0o755)

    def run(script, *args, **environment):
        result = subprocess.run(
            ["bash", str(TOOLS / script), *args],
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", **environment},
            capture_output=True,
            text=True,
        )
        return result.stdout.splitlines(), result

    return run


def test_dist_train_starts_torchs_launcher_on_one_machine(launch):
    words, _ = launch("dist_train.sh", "c.py", "8", "--amp", "--cfg-options", "a=[1, 2]")
    assert words == [
        *["python", "-m", "torch.distributed.run", "--nnodes=1", "--node_rank=0"],
        *["--master_addr=127.0.0.1", "--master_port=29500", "--nproc_per_node=8"],
        *[str(TOOLS / "train.py"), "c.py", "--launcher", "pytorch"],
        *["--amp", "--cfg-options", "a=[1, 2]"],
    ]


def test_dist_test_starts_torchs_launcher_on_the_second_of_two_machines(launch):
    where = dict(NNODES="2", NODE_RANK="1", MASTER_ADDR="10.0.0.1", PORT="1234")
    words, _ = launch("dist_test.sh", "c.py", "w.pth", "4", "--out", "r.pkl", **where)
    assert words == [
        *["python", "-m", "torch.distributed.run", "--nnodes=2", "--node_rank=1"],
        *["--master_addr=10.0.0.1", "--master_port=1234", "--nproc_per_node=4"],
        *[str(TOOLS / "test.py"), "c.py", "w.pth", "--launcher", "pytorch", "--out", "r.pkl"],
    ]


def test_slurm_train_starts_srun(launch):
    words, _ = launch("slurm_train.sh", "gpu", "job", "c.py", "--resume", GPUS="16")
    assert words == [
        *["srun", "--partition=gpu", "--job-name=job", "--gres=gpu:8", "--ntasks=16"],
        *["--ntasks-per-node=8", "--cpus-per-task=5", "--kill-on-bad-exit=1"],
        *["python", "-u", str(TOOLS / "train.py"), "c.py", "--launcher", "slurm", "--resume"],
    ]


def test_slurm_test_starts_srun_with_the_environments_settings(launch):
    options = dict(
        GPUS="2", GPUS_PER_NODE="2", CPUS_PER_TASK="3", SRUN_ARGS="--quotatype=auto -x a"
    )
    words, _ = launch("slurm_test.sh", "gpu", "job", "c.py", "w.pth", **options)
    assert words == [
        *["srun", "--partition=gpu", "--job-name=job", "--gres=gpu:2", "--ntasks=2"],
        *["--ntasks-per-node=2", "--cpus-per-task=3", "--kill-on-bad-exit=1"],
        *["--quotatype=auto", "-x", "a"],
        *["python", "-u", str(TOOLS / "test.py"), "c.py", "w.pth", "--launcher", "slurm"],
    ]


@pytest.mark.parametrize(
    "script, args",
    [
        ("dist_train.sh", ["c.py"]),
        ("dist_test.sh", ["c.py", "8"]),
        ("slurm_train.sh", ["gpu", "job"]),
        ("slurm_test.sh", ["gpu", "job", "c.py"]),
    ],
)
def test_a_missing_argument_is_told(launch, script, args):
    words, result = launch(script, *args)
    assert words == [] and result.returncode == 2
    assert result.stderr.startswith("usage: ") and "CONFIG" in result.stderr
