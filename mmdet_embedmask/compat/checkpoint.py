"""MMEngine's raw checkpoints through torch's safe loader.

Since version 2.6 torch.load unpickles with ``weights_only=True``: it builds tensors, plain
containers and what has been allowed by name, and refuses all else. Beside those, a checkpoint of
MMEngine's runner holds the message hub's log: a HistoryBuffer for each scalar, with two NumPy
arrays and a table of its own statistic methods. OneCycleLR keeps a method of its own, too. Those
are allowed here.

NumPy's own unpickling functions are not safe to allow: the state of a dtype carries flags, and
flags that say "these bytes are object pointers" turn a float array into a way to run code. Narrow
functions take their place, under their names; they make the plain number types only, from NumPy's
shared dtype objects, whose state unpickling cannot change.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from packaging.version import Version

# The methods that pickle may look up, by ``getattr(owner, name)``; they compute with numbers only.
METHODS: dict[type, tuple[str, ...]] = {
    HistoryBuffer: ("min", "max", "mean", "current"),
    OneCycleParamScheduler: ("_annealing_cos", "_annealing_linear"),
}
NUMBER_TYPES = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")


class RefusedContentError(ValueError):
    """A checkpoint asks for more than the allowed functions make.

    Not an UnpicklingError: torch.load wraps those in the advice to load unsafely, and this one
    passes through it as it is.
    """


def allow_mmengine_checkpoints() -> None:
    """Let ``torch.load(weights_only=True)`` read what MMEngine's runner saves, and nothing more.

    May be called any number of times. Below torch 2.6 it does nothing: allowing a function under
    another's name came with that version, and only since it is weights_only the default.
    """
    if Version(torch.__version__).release < (2, 6):
        return
    torch.serialization.add_safe_globals(_allowed())


def _allowed() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    functions: list[tuple[Callable[..., Any], str]] = [
        (_method, "builtins.getattr"),
        (_number_dtype, "numpy.dtype"),
    ]
    for core in ("numpy.core", "numpy._core"):  # before and since NumPy 2
        functions.append((_empty_array, f"{core}.multiarray._reconstruct"))
        functions.append((_number_scalar, f"{core}.multiarray.scalar"))
    # Only objects of an allowed class can have their state set; bytes() is an empty array's data.
    dtypes = [type(np.dtype(code)) for code in NUMBER_TYPES]
    return [*METHODS, np.ndarray, bytes, *dtypes, *functions]


def _method(owner: type, name: str) -> Callable[..., Any]:
    """Stand for ``getattr``, by which pickle names a method, for those in METHODS alone."""
    if not isinstance(owner, type) or name not in METHODS.get(owner, ()):
        raise RefusedContentError(
            f"This checkpoint asks for attribute {name!r} of {owner!r}. It may name only the "
            "methods of HistoryBuffer and OneCycleLR that MMEngine itself saves, because any other "
            "attribute may lead to foreign code."
        )
    method: Callable[..., Any] = getattr(owner, name)
    return method


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


def _empty_array(kind: type, shape: tuple[int, ...], code: bytes) -> "np.ndarray[Any, Any]":
    """Stand for ``numpy._core.multiarray._reconstruct``: an array whose state is set next."""
    if kind is not np.ndarray:
        raise RefusedContentError(
            f"This checkpoint holds an array of type {kind!r}, not a plain one."
        )
    return np.empty(0, dtype=np.int8)


def _number_scalar(dtype: "np.dtype[Any]", data: bytes) -> Any:
    """Stand for ``numpy._core.multiarray.scalar``."""
    return np.frombuffer(data, dtype=dtype, count=1)[0]
