"""A stand-in for MMCV's compiled operations, so that ``mmcv-lite`` is enough.

MMDetection imports :mod:`mmcv.ops`, which imports the extension module ``mmcv._ext``. Only a
compiled MMCV has that. EmbedMask needs few of its operations: the modules ``plain_nms`` and
``plain_ops`` beside this one have those. All others are there by name, as :mod:`mmcv.ops` asks for
them at import, and raise an error when called.
"""

import importlib
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NoReturn

from . import plain_nms, plain_ops

EXTENSION = "mmcv._ext"
# Where the stand-in says that it comes from; also how it is told from a compiled module.
STAND_IN_ORIGIN = "stand-in by mmdet_embedmask"
OPS = (
    plain_nms.nms,
    plain_ops.roi_align_backward,
    plain_ops.roi_align_forward,
    plain_ops.sigmoid_focal_loss_backward,
    plain_ops.sigmoid_focal_loss_forward,
)


def install_mmcv_ops() -> bool:
    """Make ``import mmcv.ops`` work; to be called before that or MMDetection's models are imported.

    Returns:
        True if the stand-in serves, False if compiled MMCV does.

    Raises:
        ImportError: If there is a compiled MMCV that does not fit the installed torch.
    """
    spec = find_spec(EXTENSION)
    if spec is None:
        sys.modules[EXTENSION] = build_stand_in()
        return True
    if spec.origin == STAND_IN_ORIGIN:
        return True
    try:
        importlib.import_module(EXTENSION)
    except ImportError as error:
        raise ImportError(
            f"MMCV's compiled operations cannot be loaded ({error}): they were most likely built "
            "for another version of torch. Either rebuild them for this one: pip uninstall -y mmcv "
            '&& pip install "setuptools<82" ninja psutil && pip install --no-build-isolation '
            "--no-cache-dir --no-binary mmcv mmcv==2.1.0; or do without: pip uninstall -y mmcv && "
            "pip install mmcv-lite==2.1.0"
        ) from error
    return False


def build_stand_in() -> ModuleType:
    """Build the module that takes the place of ``mmcv._ext``."""
    module = ModuleType(EXTENSION, __doc__)
    module.__spec__ = ModuleSpec(EXTENSION, loader=None, origin=STAND_IN_ORIGIN)
    for op in OPS:
        setattr(module, op.__name__, op)
    # Not operations: mmcv.utils.collect_env() lists them, and "n/a" is its word for mmcv-lite.
    for name in ("get_compiler_version", "get_compiling_cuda_version"):
        setattr(module, name, lambda: "n/a")
    vars(module)["__getattr__"] = _missing_op
    return module


def _missing_op(name: str) -> Callable[..., NoReturn]:
    if name.startswith("_"):
        # Python's own questions about a module, such as __file__, must find nothing.
        raise AttributeError(f"module {EXTENSION!r} ({STAND_IN_ORIGIN}) has no attribute {name!r}")

    def op(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(
            f"{name} is one of MMCV's compiled operations, and this MMCV has none: {__package__} "
            f"serves only {', '.join(op.__name__ for op in OPS)}. {plain_ops.COMPILED_MMCV_CURE}"
        )

    op.__name__ = name
    return op
