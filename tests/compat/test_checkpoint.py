"""What torch's safe loader reads of MMEngine's checkpoints, and what it still refuses."""

import collections
import os
import pickle
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.optim.scheduler import OneCycleLR
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner import CheckpointLoader, Runner
from mmengine.runner import checkpoint as mmengine_checkpoint
from packaging.version import Version

from mmdet_embedmask.compat.checkpoint import (
    RefusedContentError,
    install_checkpoint_loader,
    mmengine_content,
)

pytestmark = pytest.mark.skipif(
    Version(torch.__version__).release < (2, 6), reason="torch < 2.6 has no renamed safe globals"
)


def load(path: Path) -> object:
    with mmengine_content():
        return torch.load(path, weights_only=True)


def save_and_load(value: object, tmp_path: Path) -> object:
    torch.save(value, tmp_path / "checkpoint.pth")
    return load(tmp_path / "checkpoint.pth")


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

    last = CheckpointLoader.load_checkpoint(str(tmp_path / "tiny_run" / "iter_4.pth"))
    best = CheckpointLoader.load_checkpoint(str(tmp_path / "tiny_run" / "best_half_ap_iter_2.pth"))

    assert last["meta"]["iter"] == 4
    assert set(last) >= {"optimizer", "param_schedulers", "ema_state_dict", "message_hub"}
    losses, counts = last["message_hub"]["log_scalars"]["train/loss"].data
    assert len(losses) == 4 and counts.tolist() == [1, 1, 1, 1]
    assert best["message_hub"]["runtime_info"]["best_score"] == 0.5


# Where it is allowed: while a checkpoint is read, and nowhere else in the process.


@pytest.fixture
def buffer(tmp_path) -> Path:
    """A file with what plain torch refuses."""
    torch.save({"log": HistoryBuffer([1.0], [1])}, tmp_path / "buffer.pth")
    return tmp_path / "buffer.pth"


def refused_by_plain_torch(path: Path) -> None:
    with pytest.raises(pickle.UnpicklingError, match="HistoryBuffer"):
        torch.load(path, weights_only=True)


def test_plain_torch_refuses_as_ever(buffer):
    refused_by_plain_torch(buffer)
    CheckpointLoader.load_checkpoint(str(buffer))
    refused_by_plain_torch(buffer)
    with pytest.raises(FileNotFoundError):
        CheckpointLoader.load_checkpoint("none.pth")
    refused_by_plain_torch(buffer)


def test_every_scheme_of_mmengines_loader_reads_them(buffer, monkeypatch):
    monkeypatch.setattr(mmengine_checkpoint, "load_url", lambda *_, **__: torch.load(buffer))
    loaded = CheckpointLoader.load_checkpoint("https://example.org/buffer.pth")
    assert loaded["log"].current() == 1.0


def test_a_reader_within_a_reader_takes_nothing_away(buffer):
    with mmengine_content():
        load(buffer)
        torch.load(buffer, weights_only=True)
    refused_by_plain_torch(buffer)


def test_what_others_allow_stays_allowed(tmp_path):
    """But for names of ours, for which the narrow functions stand while a checkpoint is read."""
    with torch.serialization.safe_globals([Foreign, getattr, (np.array, "numpy.ndarray")]):
        before = set(torch.serialization.get_safe_globals())
        assert isinstance(save_and_load(Foreign(), tmp_path), Foreign)
        refused_by_us(GetsAttribute(np.ndarray, "tofile"), tmp_path, "asks for attribute 'tofile'")
        assert set(torch.serialization.get_safe_globals()) == before


def test_threads_read_one_after_the_other(buffer):
    entered, left, loaded = threading.Event(), threading.Event(), []

    def read() -> None:
        with mmengine_content():
            entered.set()
            left.wait(10)
            loaded.append(torch.load(buffer, weights_only=True))

    thread = threading.Thread(target=read)
    with mmengine_content():
        thread.start()
        assert not entered.wait(0.1)
    left.set()
    thread.join(10)
    assert len(loaded) == 1
    refused_by_plain_torch(buffer)


def test_installing_again_changes_nothing():
    before = CheckpointLoader.load_checkpoint.__func__
    install_checkpoint_loader()
    assert CheckpointLoader.load_checkpoint.__func__ is before


def test_the_forks_own_list_is_not_used(monkeypatch):
    """onedl-mmengine allows getattr and NumPy's own functions."""
    unsafe = [getattr, np.ndarray]
    monkeypatch.setattr(
        mmengine_checkpoint, "get_torch_safe_globals", lambda: unsafe, raising=False
    )
    install_checkpoint_loader()
    assert mmengine_checkpoint.get_torch_safe_globals() == []


# What they hold.


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

    assert isinstance(loaded, type(value))
    assert loaded.dtype == value.dtype
    np.testing.assert_array_equal(loaded, value, strict=True)
    assert pickle.dumps(loaded, 2) == pickle.dumps(value, 2)  # as it is saved again


def test_a_dtype_loads_as_itself(tmp_path):
    assert save_and_load(np.dtype("float32"), tmp_path) is np.dtype("float32")


@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_the_one_cycle_schedule_loads(strategy, tmp_path):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = OneCycleLR(optimizer, eta_max=0.1, total_steps=3, anneal_strategy=strategy)

    loaded = save_and_load(schedule.state_dict(), tmp_path)

    assert loaded["anneal_func"](0.1, 0.5, 0.25) == schedule.anneal_func(0.1, 0.5, 0.25)
    assert save_and_load(schedule.anneal_func, tmp_path) is loaded["anneal_func"]
    assert pickle.dumps(loaded["anneal_func"], 2) == pickle.dumps(schedule.anneal_func, 2)


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
    ids=lambda value: getattr(value, "__qualname__", value),
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
    with torch.serialization.safe_globals([np.matrix]):
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
    values = pickled((buffer, np.float64(2.5)))
    assert here in values
    path = write_torch_archive(values.replace(here + b"\n", there + b"\n"), tmp_path)

    loaded_buffer, scalar = load(path)

    assert loaded_buffer.mean() == 2.0
    assert scalar == 2.5 and scalar.dtype == np.float64


# What a file may name, called with values of its choice.


class Calls:
    """Pickled as a call of a function."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.called = (function, arguments)

    def __reduce__(self):
        return self.called


FOREIGN = np.arange(4.0)


def over_memory() -> collections.OrderedDict:
    """NumPy takes it for an array at the address that it says."""
    value: collections.OrderedDict = collections.OrderedDict()
    data = (FOREIGN.ctypes.data, False)
    value.__array_interface__ = {"version": 3, "shape": (4,), "typestr": "<f8", "data": data}
    return value


def pickled(value: object) -> bytes:
    return pickle.dumps(value, protocol=2)[2:-1]  # without its head and its end


def call(function: object, *arguments: object) -> bytes:
    return pickled(function) + pickled(arguments) + pickle.REDUCE


def new(kind: type, *arguments: object) -> bytes:
    return pickled(kind) + pickled(arguments) + pickle.NEWOBJ


def state(value: object) -> bytes:
    return pickled(value) + pickle.BUILD


F8 = np.dtype("f8")
RECONSTRUCT, SCALAR = np.zeros(0).__reduce__()[0], np.float64(0).__reduce__()[0]
ARRAY = call(RECONSTRUCT, np.ndarray, (0,), b"b")
TWO_ZEROS = state((1, (2,), F8, False, bytes(16)))
HISTORY = {"max_length": 9, "_log_history": np.zeros(2), "_count_history": np.zeros(2)}

ATTACKS = {
    "array called": call(np.ndarray, (1,), F8, bytes(8)),
    "array made": new(np.ndarray, (1,), F8, bytes(8)),
    "array called inside": pickled(collections.OrderedDict(a=Calls(np.ndarray, (1,), F8))),
    "freed array": ARRAY + TWO_ZEROS + TWO_ZEROS,
    "short array": ARRAY + state((1, (3,), F8, False, bytes(16))),
    "negative array": ARRAY + state((1, (-2,), F8, False, bytes(16))),
    "overflowing array": ARRAY + state((1, (2**62, 4), F8, False, b"")),
    "array of objects": ARRAY + state((1, (1,), np.dtype("O"), False, [None])),
    "array of named type": ARRAY + state((1, (1,), "O", False, [None])),
    "short scalar": call(SCALAR, F8, bytes(4)),
    "long scalar": call(SCALAR, F8, bytes(16)),
    "scalar of other memory": call(SCALAR, F8, np.zeros(1)),
    "scalar of named type": call(SCALAR, "f8", bytes(8)),
    "class of a type called": call(type(F8)),
    "class of a type made": new(type(F8), "O"),
    "history called": call(HistoryBuffer, over_memory(), over_memory()),
    "history made": new(HistoryBuffer, over_memory()),
    "history over memory": new(HistoryBuffer) + state(HISTORY | {"_log_history": over_memory()}),
    "history of lists": new(HistoryBuffer) + state(HISTORY | {"_count_history": [1, 1]}),
    "history with more": new(HistoryBuffer) + state(HISTORY | {"update": collections.Counter}),
    "history without counts": new(HistoryBuffer) + state({"max_length": 9}),
    "schedule called": call(OneCycleParamScheduler, 1),
    "schedule made": new(OneCycleParamScheduler),
    "bytes called": call(bytes, 8),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_is_called_with_values_of_the_files_choice(attack, tmp_path):
    path = write_torch_archive(ATTACKS[attack], tmp_path)
    with pytest.raises((RefusedContentError, pickle.UnpicklingError)):
        load(path)


def test_the_same_opcodes_make_what_is_allowed(tmp_path):
    """So that the refusals above are of what they say."""
    array = load(write_torch_archive(ARRAY + TWO_ZEROS, tmp_path))
    np.testing.assert_array_equal(array, np.zeros(2), strict=True)
    assert load(write_torch_archive(call(SCALAR, F8, bytes(8)), tmp_path)) == 0.0
    buffer = load(write_torch_archive(new(HistoryBuffer) + state(HISTORY), tmp_path))
    assert type(buffer) is HistoryBuffer and buffer.max_length == 9
    assert [type(values) for values in buffer.data] == [np.ndarray, np.ndarray]


def test_a_schedules_method_computes_with_numbers_alone(tmp_path):
    """Torch itself calls what is on the stack: a number less an array over memory would read it."""
    arguments = (np.float64(1), over_memory(), 0.5)
    method = OneCycleParamScheduler._annealing_linear
    attack = call(torch._tensor._rebuild_from_type_v2, method, set, arguments, None)
    with pytest.raises(TypeError, match="float.*OrderedDict"):
        load(write_torch_archive(attack, tmp_path))


def test_a_files_statistic_methods_are_not_kept(tmp_path):
    """There is one table of them for all buffers of the process."""
    methods = {"statistics_methods": {"mean": HistoryBuffer.max}}
    attack = new(HistoryBuffer) + state(HISTORY | methods)
    load(write_torch_archive(attack, tmp_path))
    assert HistoryBuffer([1.0, 3.0], [1, 1]).statistics("mean") == 2.0


def write_torch_archive(content: bytes, tmp_path: Path) -> Path:
    """Put a pickle without its head and its end into the zip archive that torch.save writes."""
    path = tmp_path / "archive.pth"
    content = b"\x80\x02" + content + pickle.STOP
    writer = torch._C.PyTorchFileWriter(str(path))
    writer.write_record("data.pkl", content, len(content))
    writer.write_record("byteorder", b"little", 6)
    writer.write_end_of_file()
    return path
