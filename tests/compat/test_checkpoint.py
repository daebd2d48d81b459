"""What torch's safe loader reads of MMEngine's checkpoints, and what it still refuses."""

import collections
import os
import pickle
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.optim.scheduler import OneCycleLR
from mmengine.runner import Runner
from packaging.version import Version

from mmdet_embedmask.compat.checkpoint import RefusedContentError, allow_mmengine_checkpoints

pytestmark = pytest.mark.skipif(
    Version(torch.__version__).release < (2, 6), reason="torch < 2.6 has no renamed safe globals"
)


@pytest.fixture(autouse=True)
def only_ours() -> Iterator[None]:
    """Nothing allowed but what the function under test allows."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    allow_mmengine_checkpoints()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


def save_and_load(value: object, tmp_path: Path) -> object:
    torch.save(value, tmp_path / "checkpoint.pth")
    return torch.load(tmp_path / "checkpoint.pth", weights_only=True)


class TinyModel(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, *inputs: torch.Tensor, mode: str = "tensor"):
        outputs = self.layer(torch.stack(inputs))
        return {"loss": outputs.square().mean()} if mode == "loss" else list(outputs)


class HalfMetric(BaseMetric):
    default_prefix = "half"

    def process(self, data_batch, data_samples) -> None:
        self.results.append(0.5)

    def compute_metrics(self, results) -> dict:
        return {"ap": np.float32(np.mean(results))}


def run_tiny_training(work_dir: Path) -> None:
    data = [torch.tensor([float(i), 1.0]) for i in range(4)]
    Runner(
        TinyModel(),
        work_dir=str(work_dir),
        train_dataloader={
            "batch_size": 2,
            "dataset": data,
            "sampler": {"type": "InfiniteSampler", "shuffle": False},
        },
        val_dataloader={
            "batch_size": 2,
            "dataset": data,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
        },
        train_cfg={"type": "IterBasedTrainLoop", "max_iters": 4, "val_interval": 2},
        val_cfg={},
        val_evaluator=[HalfMetric()],
        optim_wrapper={"optimizer": {"type": "AdamW", "lr": 0.1}},
        param_scheduler=[
            {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 2},
            {"type": "MultiStepLR", "milestones": [3], "by_epoch": False},
            {"type": "CosineAnnealingLR", "T_max": 4, "by_epoch": False},
        ],
        default_hooks={
            "checkpoint": {
                "type": "CheckpointHook",
                "interval": 4,
                "by_epoch": False,
                "save_best": "half/ap",
                "rule": "greater",
            },
            "logger": {"type": "LoggerHook", "interval": 1},
        },
        custom_hooks=[{"type": "EMAHook"}],
        randomness={"seed": 0},
        experiment_name=work_dir.name,
        default_scope="mmengine",
        log_level="ERROR",
    ).train()


def test_checkpoints_of_a_runner_load(tmp_path):
    run_tiny_training(tmp_path / "tiny_run")

    last = torch.load(tmp_path / "tiny_run" / "iter_4.pth", weights_only=True)
    best = torch.load(tmp_path / "tiny_run" / "best_half_ap_iter_2.pth", weights_only=True)

    assert last["meta"]["iter"] == 4
    assert set(last) >= {"optimizer", "param_schedulers", "ema_state_dict", "message_hub"}
    losses, counts = last["message_hub"]["log_scalars"]["train/loss"].data
    assert len(losses) == 4 and counts.tolist() == [1, 1, 1, 1]
    assert best["message_hub"]["runtime_info"]["best_score"] == 0.5


def test_those_checkpoints_are_refused_without_us(tmp_path):
    torch.save(HistoryBuffer([1.0], [1]), tmp_path / "buffer.pth")
    torch.serialization.clear_safe_globals()

    with pytest.raises(pickle.UnpicklingError, match="HistoryBuffer"):
        torch.load(tmp_path / "buffer.pth", weights_only=True)


def test_a_history_buffer_keeps_its_values_and_methods(tmp_path):
    loaded = save_and_load(HistoryBuffer([1.0, 2.0, 6.0], [1, 1, 1]), tmp_path)

    assert loaded.mean() == 3.0
    assert loaded.statistics("max", 2) == 6.0
    assert loaded._statistics_methods == {
        name: getattr(HistoryBuffer, name) for name in ("min", "max", "mean", "current")
    }


@pytest.mark.parametrize(
    "value",
    [
        np.array([[1.5, -2.0], [0.0, np.inf]]),
        np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
        np.array([], dtype=np.float64),
        np.array([True, False]),
        np.float64(0.1),
        np.float32(0.1),
        np.float16(0.5),
        np.int64(-(2**40)),
        np.uint8(255),
        np.bool_(True),
    ],
    ids=repr,
)
def test_numpy_numbers_load_exactly(value, tmp_path):
    loaded = save_and_load(value, tmp_path)

    assert type(loaded) is type(value)
    assert loaded.dtype == value.dtype
    np.testing.assert_array_equal(loaded, value)


def test_a_dtype_loads_as_itself(tmp_path):
    assert save_and_load(np.dtype("float32"), tmp_path) is np.dtype("float32")


@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_the_one_cycle_schedule_loads(strategy, tmp_path):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = OneCycleLR(optimizer, eta_max=0.1, total_steps=3, anneal_strategy=strategy)

    loaded = save_and_load(schedule.state_dict(), tmp_path)

    assert loaded["anneal_func"] is schedule.anneal_func


def test_allowing_twice_adds_nothing():
    before = set(torch.serialization.get_safe_globals())
    allow_mmengine_checkpoints()
    assert set(torch.serialization.get_safe_globals()) == before


# What must stay refused. torch.save lets us pickle what no checkpoint of MMEngine holds.

executed: list[str] = []


class RunsCommand:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


class RunsPython:
    def __reduce__(self):
        return executed.append, ("ran",)


class Foreign:
    pass


def refused(value: object, tmp_path: Path, match: str | None = None) -> None:
    """Refused by torch, which knows only names that are allowed."""
    with pytest.raises(pickle.UnpicklingError, match=match):
        save_and_load({"state_dict": {}, "meta": value}, tmp_path)


def refused_by_us(value: object, tmp_path: Path, match: str) -> None:
    """Refused by our functions; the message is ours alone, without advice to load unsafely."""
    with pytest.raises(RefusedContentError, match=f"^This checkpoint .*{match}") as caught:
        save_and_load({"state_dict": {}, "meta": value}, tmp_path)
    assert "weights_only" not in str(caught.value)


def test_a_shell_command_is_refused_and_not_run(tmp_path):
    refused(RunsCommand(tmp_path / "marker"), tmp_path)
    assert not (tmp_path / "marker").exists()


def test_python_code_is_refused_and_not_run(tmp_path):
    refused_by_us(RunsPython(), tmp_path, "asks for attribute 'append'")
    assert executed == []


def test_a_foreign_class_is_refused(tmp_path):
    refused(Foreign(), tmp_path, "Foreign")


def test_foreign_code_inside_a_history_buffer_is_refused(tmp_path):
    buffer = HistoryBuffer([1.0], [1])
    buffer.extra = RunsCommand(tmp_path / "marker")
    refused(buffer, tmp_path)
    assert not (tmp_path / "marker").exists()


class GetsAttribute:
    def __init__(self, owner: object, name: str) -> None:
        self.asked = (owner, name)

    def __reduce__(self):
        return getattr, self.asked


@pytest.mark.parametrize(
    "owner, name",
    [
        (HistoryBuffer.min, "__globals__"),
        (HistoryBuffer, "__init__"),
        (HistoryBuffer, "update"),
        (HistoryBuffer, "_annealing_cos"),
        (collections.OrderedDict, "mean"),
        (np.ndarray, "tofile"),
        ("text", "format"),
    ],
    ids=str,
)
def test_no_other_attribute_can_be_looked_up(owner, name, tmp_path):
    refused_by_us(GetsAttribute(owner, name), tmp_path, f"asks for attribute '{name}'")


@pytest.mark.parametrize(
    "value",
    [
        np.array([None, 1], dtype=object),
        np.array(["text"]),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.datetime64("2024-01-01"),
    ],
    ids=["object", "text", "record", "date"],
)
def test_arrays_of_anything_but_numbers_are_refused(value, tmp_path):
    refused_by_us(value, tmp_path, "Only plain numbers are allowed")


def test_a_subclass_of_array_is_refused(tmp_path):
    torch.serialization.add_safe_globals([np.matrix])
    refused_by_us(np.asmatrix([[1.0]]), tmp_path, "not a plain one")


class DtypeOfPointers:
    """A float64 dtype whose flags claim that its eight bytes are a pointer to an object."""

    def __reduce__(self):
        return np.dtype, ("f8", False, True), (3, "<", None, None, None, -1, -1, 63)


class ArrayOfPointers:
    def __reduce__(self):
        rebuild, arguments, _ = np.zeros(1).__reduce__()
        address = struct.pack("<Q", 0xDEAD)
        return rebuild, arguments, (1, (1,), DtypeOfPointers(), False, address)


def test_numbers_cannot_be_declared_to_be_object_pointers(tmp_path):
    loaded = save_and_load({"dtype": DtypeOfPointers(), "array": ArrayOfPointers()}, tmp_path)

    assert not loaded["dtype"].hasobject
    assert not np.dtype("f8").hasobject
    assert loaded["array"].dtype == np.float64 and not loaded["array"].dtype.hasobject


@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
def test_numpy_is_allowed_under_its_old_and_its_new_name(core, tmp_path):
    """A checkpoint keeps the module names of the NumPy that wrote it."""
    here = np.zeros(0).__reduce__()[0].__module__.encode()
    there = f"{core}.multiarray".encode()
    buffer = HistoryBuffer([1.0, 3.0], [1, 1])
    pickled = pickle.dumps((buffer, np.float64(2.5)), protocol=2)
    assert here in pickled
    path = write_torch_archive(pickled.replace(here + b"\n", there + b"\n"), tmp_path)

    loaded_buffer, scalar = torch.load(path, weights_only=True)

    assert loaded_buffer.mean() == 2.0
    assert scalar == 2.5 and scalar.dtype == np.float64


def write_torch_archive(pickled: bytes, tmp_path: Path) -> Path:
    """Put a pickle into the zip archive that torch.save writes."""
    path = tmp_path / "archive.pth"
    writer = torch._C.PyTorchFileWriter(str(path))
    writer.write_record("data.pkl", pickled, len(pickled))
    writer.write_record("byteorder", b"little", 6)
    writer.write_end_of_file()
    return path
