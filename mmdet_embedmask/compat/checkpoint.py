"""MMEngine's raw checkpoints through torch's safe loader.

Since version 2.6 torch.load unpickles with ``weights_only=True``: it builds tensors, plain
containers and what has been allowed by name, and refuses all else. Beside those, a checkpoint of
MMEngine's runner holds the message hub's log: a HistoryBuffer for each scalar, with two NumPy
arrays and a table of its own statistic methods. OneCycleLR keeps a method of its own, too. Those
are allowed here, while MMEngine or this package reads a checkpoint (meanwhile in other threads,
too: torch has one list for all), and not beyond.

None of the classes and functions that such a file names is safe to allow: numpy.ndarray makes an
array over any memory, so does HistoryBuffer of an object with an ``__array_interface__``, a dtype's
flags say that numbers are pointers, and an array whose state is set twice frees the memory that a
tensor may share. Narrow stand-ins take their places, under their names. They make plain numbers
only, and can be called with nothing else.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any, NoReturn

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner import CheckpointLoader, checkpoint
from packaging.version import Version

NUMBER_TYPES = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")

_READING = RLock()
"""The list of what is allowed is one for all threads: they read one after the other."""


class RefusedContentError(ValueError):
    """A checkpoint asks for more than the allowed functions make.

    Not an UnpicklingError: torch.load wraps those in the advice to load unsafely, and this one
    passes through it as it is.
    """


def install_checkpoint_loader() -> None:
    """Let MMEngine's loader read what MMEngine's runner saves, and nothing more.

    Everything in MMEngine and MMDetection that reads a checkpoint does so through it. May be called
    any number of times.
    """
    load = CheckpointLoader.load_checkpoint.__func__
    if not hasattr(load, "reads_mmengine_content"):
        reading = mmengine_content()(load)
        reading.reads_mmengine_content = True
        CheckpointLoader.load_checkpoint = classmethod(reading)
    # The fork onedl-mmengine has a list of its own, with the functions that are not safe.
    if hasattr(checkpoint, "get_torch_safe_globals"):
        checkpoint.get_torch_safe_globals = list


@contextmanager
def mmengine_content() -> Iterator[None]:
    """Within, ``torch.load(weights_only=True)`` reads MMEngine's raw checkpoints.

    Meanwhile in other threads, too: torch has one list of what is allowed. What others have allowed
    stays allowed, but for the names that are ours here. Below torch 2.6 this does nothing: allowing
    a function under another's name came with that version, as did weights_only as the default.
    """
    if Version(torch.__version__).release < (2, 6):
        yield
        return
    ours = _allowed()
    names = {name for _, name in ours}
    with nothing_allowed() as before:
        torch.serialization.add_safe_globals([one for one in before if _name(one) not in names])
        with torch.serialization.safe_globals([*ours]):
            yield


@contextmanager
def nothing_allowed() -> Iterator[list[Any]]:
    """Within, torch allows what it calls safe itself and nothing beyond; other threads wait.

    Yields:
        What is allowed outside.
    """
    with _READING:
        before = torch.serialization.get_safe_globals()
        torch.serialization.clear_safe_globals()
        try:
            yield before
        finally:
            torch.serialization.add_safe_globals(before)


def _name(allowed: Any) -> str:
    """The name under which torch knows what is allowed."""
    if isinstance(allowed, tuple):
        return str(allowed[1])
    return f"{allowed.__module__}.{allowed.__qualname__}"


def _allowed() -> list[tuple[Callable[..., Any], str]]:
    named: list[tuple[Callable[..., Any], str]] = [
        (LoadedHistoryBuffer, "mmengine.logging.history_buffer.HistoryBuffer"),
        (_OneCycle, "mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler"),
        (_method, "builtins.getattr"),
        (_no_bytes, "builtins.bytes"),
        (_number_dtype, "numpy.dtype"),
        (LoadedArray, "numpy.ndarray"),
    ]
    for core in ("numpy.core", "numpy._core"):  # before and since NumPy 2
        named.append((_empty_array, f"{core}.multiarray._reconstruct"))
        named.append((_number_scalar, f"{core}.multiarray.scalar"))
    # Pickle sets the state of a dtype, too, and torch lets it where the class is allowed. No file
    # can name these: torch looks for "module.name", read from two lines.
    dtypes = [type(np.dtype(code)) for code in NUMBER_TYPES]
    return [
        *named,
        *((dtype, f"\n{code}") for dtype, code in zip(dtypes, NUMBER_TYPES, strict=True)),
    ]


def _called(name: str) -> RefusedContentError:
    return RefusedContentError(
        f"This checkpoint calls {name} with values of its own, which no checkpoint of MMEngine "
        "does and which may lead to foreign memory."
    )


class LoadedArray(np.ndarray):
    """An array of a checkpoint: made by `_empty_array`, and its state can be set once.

    Setting the state of an array frees its memory, and a tensor that was made of it in between
    would still point there. It is saved as a plain array.
    """

    is_new: bool

    def __new__(cls, *arguments: Any) -> "LoadedArray":
        """Refuse: an array is made by `_empty_array` alone."""
        raise _called("numpy.ndarray")

    def __setstate__(self, state: Any) -> None:
        """Set shape, type and numbers; NumPy checks that their sizes fit."""
        if not vars(self).pop("is_new", False):
            raise RefusedContentError("This checkpoint sets the state of an array twice.")
        try:
            super().__setstate__(state)
        except (MemoryError, TypeError, ValueError) as error:
            raise RefusedContentError(
                f"This checkpoint holds a damaged NumPy array: {error}."
            ) from error

    def __reduce__(self) -> Any:
        """As a plain array's."""
        return np.asarray(self).__reduce__()


def _empty_array(kind: type, shape: tuple[int, ...], code: bytes) -> LoadedArray:
    """Stand for ``numpy._core.multiarray._reconstruct``: an array whose state is set next."""
    if kind is not LoadedArray:
        raise RefusedContentError(
            f"This checkpoint holds an array of type {kind!r}, not a plain one."
        )
    array = np.empty(0, dtype=np.int8).view(LoadedArray)
    array.is_new = True
    return array


def _no_bytes(*arguments: Any) -> bytes:
    """Stand for ``bytes``, which pickle calls for the data of an empty array."""
    if arguments:
        raise _called("bytes")
    return b""


def _number_dtype(code: str, align: bool = False, copy: bool = False) -> "np.dtype[Any]":
    """Stand for ``numpy.dtype``.

    The object is NumPy's shared one, although the pickle asks for a copy: setting the state of the
    shared one has no effect. The state's byte order is therefore ignored too; the machines that
    torch runs on share theirs.
    """
    if code not in NUMBER_TYPES:
        raise RefusedContentError(
            f"This checkpoint holds a NumPy array or scalar of type {code!r}. Only plain numbers "
            f"are allowed: {', '.join(NUMBER_TYPES)}."
        )
    return np.dtype(code)


def _number_scalar(dtype: "np.dtype[Any]", data: bytes) -> Any:
    """Stand for ``numpy._core.multiarray.scalar``."""
    if not isinstance(dtype, np.dtype) or type(data) is not bytes or len(data) != dtype.itemsize:
        raise RefusedContentError(
            f"This checkpoint holds a damaged NumPy scalar of type {dtype!r}."
        )
    return np.frombuffer(data, dtype=dtype)[0]


class LoadedHistoryBuffer(HistoryBuffer):
    """Becomes a HistoryBuffer when its state is set, and only of numbers."""

    def __new__(cls, *arguments: Any) -> "LoadedHistoryBuffer":
        """Make one without a state."""
        if arguments:
            raise _called("HistoryBuffer")
        buffer: LoadedHistoryBuffer = super().__new__(cls)
        return buffer

    def __setstate__(self, state: Any) -> None:
        """Set the logged values and counts."""
        kinds = dict(max_length=int, _log_history=LoadedArray, _count_history=LoadedArray)
        # Without its methods: MMEngine's are there, in one table for all buffers.
        values = {key: value for key, value in state.items() if key != "statistics_methods"}
        if {name: type(value) for name, value in values.items()} != kinds:
            raise RefusedContentError(
                f"This checkpoint holds a HistoryBuffer of {sorted(values)}, and it must be "
                f"{sorted(kinds)}: a whole number and two arrays."
            )
        for name in ("_log_history", "_count_history"):
            values[name] = np.array(values[name])
        self.__class__ = HistoryBuffer
        self.__setstate__(values)


class _OneCycle:
    """Stands for OneCycleParamScheduler, whose methods are asked for."""

    def __new__(cls, *arguments: Any) -> NoReturn:
        raise _called("OneCycleLR")


class Annealing:
    """A method of OneCycleParamScheduler, for numbers alone. It is saved as that method."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, start: float, end: float, pct: float) -> float:
        """Between start and end, which another object could replace by an array over memory."""
        method = getattr(OneCycleParamScheduler, self.name)
        return float(method(float(start), float(end), float(pct)))

    def __reduce__(self) -> Any:
        """As the method's."""
        return getattr, (OneCycleParamScheduler, self.name)


METHODS: dict[type, dict[str, Annealing | None]] = {
    LoadedHistoryBuffer: dict.fromkeys(("min", "max", "mean", "current")),
    _OneCycle: {name: Annealing(name) for name in ("_annealing_cos", "_annealing_linear")},
}
"""What pickle may look up, by ``getattr(owner, name)``."""


def _method(owner: type, name: str) -> Annealing | None:
    """Stand for ``getattr``, by which pickle names a method, for those in METHODS alone."""
    methods = METHODS.get(owner, {}) if isinstance(owner, type) else {}
    if name not in methods:
        raise RefusedContentError(
            f"This checkpoint asks for attribute {name!r} of {owner!r}. It may name only the "
            "methods of HistoryBuffer and OneCycleLR that MMEngine itself saves, because any other "
            "attribute may lead to foreign code."
        )
    return methods[name]
