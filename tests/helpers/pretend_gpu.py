"""A GPU that is none: its tensors compute on the CPU, refuse the host's, and count waiting.

It finds what goes wrong the first time that code runs on a GPU: tensors of host and GPU that meet
in one operation, and places at which the host waits. It has no other rounding, no autocast of its
own, no streams and no times: what depends on them needs a GPU.
"""

import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import mmengine.structures.instance_data
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

from mmdet_embedmask.functional.mask_prediction import _axis

CUDA = torch.device("cuda", 0)
# What torch itself takes them for: a device that a torch without CUDA knows, too.
META = torch.device("meta")

aten = torch.ops.aten
COPIES = (aten.copy_.default, aten._to_copy.default)
INDEXING = (aten.index.Tensor, aten.index_put_.default, aten.index_put.default)
# The host needs to know a number, or how large the result is.
WAITING = (
    aten._local_scalar_dense.default,
    aten.equal.default,
    aten.masked_select.default,
    aten.nonzero.default,
    aten._unique2.default,
    aten.unique_dim.default,
)


class GpuTensor(Tensor):
    """A tensor that says it lies on a GPU; lives inside `pretend_gpu` alone."""

    held: Tensor
    is_cuda = True
    is_cpu = False
    is_meta = False
    device = property(lambda self: CUDA)

    @staticmethod
    def __new__(cls, held: Tensor) -> "GpuTensor":
        tensor = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=META,
        )
        tensor.held = held
        return tensor

    def __repr__(self) -> str:
        return f"GpuTensor({self.held})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} of a tensor of the pretended GPU, which is gone")


class _Requests(TorchFunctionMode):
    """What Python asks for: 'cuda' becomes the device that torch takes the GPU for."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.cuda:
            return args[0].to(META)
        if func is Tensor.pin_memory:
            return args[0]
        if func is Tensor.tolist:
            return args[0].cpu().tolist()
        # Torch makes these of Python's numbers without asking its dispatcher: data would be lost.
        if func in (torch.tensor, torch.as_tensor, Tensor.new_tensor):
            on_gpu = isinstance(args[0], GpuTensor)
            dtype = kwargs.pop("dtype", args[0].dtype if on_gpu else None)
            device = kwargs.pop("device", CUDA if on_gpu else None)
            data = args[1] if func is Tensor.new_tensor else args[0]
            if isinstance(data, GpuTensor):
                return data.detach().clone().to(_as_meta(device or CUDA), dtype=dtype)
            return torch.tensor(data, dtype=dtype, **kwargs).to(_as_meta(device or "cpu"))
        if func in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[0], GpuTensor):
            args = (args[0], _lists_on_gpu(args[1]), *args[2:])
        # Torch makes a tensor of the host of a number that is set.
        if func is Tensor.__setitem__ and not isinstance(args[2], Tensor):
            args = (*args[:2], torch.tensor(args[2], dtype=args[0].dtype))
        if func is not torch.device:
            args = tuple(map(_as_meta, args))
        return func(*args, **{name: _as_meta(value) for name, value in kwargs.items()})


def _lists_on_gpu(index: Any) -> Any:
    """An index whose lists of numbers are tensors of the GPU."""
    if isinstance(index, tuple):
        return tuple(map(_lists_on_gpu, index))
    return torch.tensor(index).to(META) if isinstance(index, list) else index


def _as_meta(value: Any) -> Any:
    if isinstance(value, str) and value.split(":")[0] == "cuda":
        return META
    return META if isinstance(value, torch.device) and value.type == "cuda" else value


class _Operations(TorchDispatchMode):
    """What torch does: on what the tensors hold, after it was checked that a GPU could."""

    def __init__(self, waits: list[str]) -> None:
        super().__init__()
        self.waits = waits

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        on_gpu = [isinstance(tensor, GpuTensor) for tensor in tensors]
        device = kwargs.get("device")
        to_gpu = device == META or (device is None and any(on_gpu))
        if any(on_gpu) or to_gpu:
            _check(func, args, tensors)
            if _waits(func, args, kwargs, on_gpu):
                self.waits.append(_where(func))
        if device is not None:
            kwargs["device"] = torch.device("cpu")
        out = func(*tree_map(_held, args), **tree_map(_held, kwargs))
        if func is aten.copy_.default:
            return args[0]
        if not to_gpu:
            return out
        out = tree_map(lambda value: GpuTensor(value) if isinstance(value, Tensor) else value, out)
        return return_and_correct_aliasing(func, args, kwargs, out) if any(on_gpu) else out


def _held(value: Any) -> Any:
    return value.held if isinstance(value, GpuTensor) else value


def _check(func: Any, args: Any, tensors: list[Tensor]) -> None:
    """Refuse what a GPU refuses."""
    if func in COPIES:
        return
    indices = tree_leaves(args[1]) if func in INDEXING else []
    for tensor in tensors:
        if isinstance(tensor, GpuTensor):
            continue
        if tensor.device == META:
            raise NotImplementedError(f"{func}: a number is lost, which pretend_gpu must make")
        # Numbers may come from the host, and so may indices into what lies on the GPU.
        is_index = isinstance(args[0], GpuTensor) and any(tensor is index for index in indices)
        if tensor.dim() and not is_index:
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but {func} found cuda:0 and cpu"
            )


def _waits(func: Any, args: Any, kwargs: Any, on_gpu: list[bool]) -> bool:
    """Whether the host waits for the GPU."""
    if func is aten._to_copy.default:
        leaves = kwargs.get("device") is not None and on_gpu[0] != (kwargs["device"] == META)
        if leaves and on_gpu[0] and kwargs.get("non_blocking"):
            raise RuntimeError("a copy to the host that nobody waits for is read too early")
        return leaves and not kwargs.get("non_blocking")
    if func is aten.copy_.default:
        return len(set(on_gpu)) == 2
    if func is aten.repeat_interleave.Tensor:
        return kwargs.get("output_size") is None
    if func is aten.index_put_.default and not isinstance(args[2], GpuTensor):
        # A number of the host: masked_fill_ where one mask says where, else it is brought there.
        return not (len(args[1]) == 1 and args[1][0].dtype == torch.bool)
    if func in INDEXING:
        return any(
            index is not None
            and (index.dtype in (torch.bool, torch.uint8) or not isinstance(index, GpuTensor))
            for index in args[1]
        )
    return func in WAITING


def _where(func: Any) -> str:
    """The operation, and the line of a package of OpenMMLab or ours that came to it."""
    for frame in reversed(traceback.extract_stack()):
        path = Path(frame.filename)
        if "mmdet_embedmask" in path.parts or {"mmdet", "mmengine", "mmcv"} & set(path.parts):
            return f"{func} at {path.name}:{frame.lineno}: {frame.line}"
    return str(func)


def _in_backward(modes: Callable[[], ExitStack]) -> Callable[..., Any]:
    """Torch's engine, under the modes that it is called without: backward functions need them."""
    run = torch.autograd._engine_run_backward

    def run_backward(*args: Any, **kwargs: Any) -> Any:
        with modes():
            return run(*args, **kwargs)

    return run_backward


@contextmanager
def pretend_gpu() -> Iterator[list[str]]:
    """Inside, 'cuda' is a device. Yields the list of what the host has waited for."""
    waits: list[str] = []
    instance_data = mmengine.structures.instance_data
    # Of it, InstanceData takes the types of indices.
    index_type = instance_data.IndexType | GpuTensor
    with ExitStack() as stack:
        # What is kept for the next image lies on a GPU that is not there before, nor afterwards.
        _axis.cache_clear()
        stack.callback(_axis.cache_clear)
        # A parameter cannot change its kind in place.
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, False)
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        stack.enter_context(patch.object(torch.cuda, "is_available", lambda: True))
        stack.enter_context(patch.object(torch.cuda, "device_count", lambda: 1))
        stack.enter_context(patch.object(instance_data, "IndexType", index_type))
        stack.enter_context(
            patch.object(torch.autograd, "_engine_run_backward", _in_backward(_Requests))
        )
        stack.enter_context(_Operations(waits))
        stack.enter_context(_Requests())
        yield waits
