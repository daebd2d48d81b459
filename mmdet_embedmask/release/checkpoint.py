"""A training checkpoint without what only training needs."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from ..compat.checkpoint import nothing_allowed
from ..version import __version__

HASH_DIGITS = 8
"""Of the SHA-256 in a release's name."""

RUN = ("epoch", "iter", "seed", "time", "mmengine_version")
"""What MMEngine's runner wrote of itself."""

CONVERSION = ("family", "source_sha256")
"""What tells where converted weights come from."""


def release_config(config: Config) -> Config:
    """The config of a run without what belongs to that run and its machine."""
    released = config.copy()
    released.pop("work_dir", None)
    released.merge_from_dict(dict(load_from=None, resume=False, launcher="none"))
    return released


def release_checkpoint(checkpoint: dict[str, Any], config: Config) -> dict[str, Any]:
    """Keep weights and what is needed to use them: tensors, text and numbers alone.

    With an EMAHook the weights of a checkpoint are the averaged ones already; what it keeps beside
    them is for resuming.

    Args:
        checkpoint: as MMEngine's runner saved it.
        config: of the run.

    Raises:
        ValueError: if it has no weights, or does not name its classes.
        TypeError: if a value is neither of those kinds.
    """
    if "state_dict" not in checkpoint:
        raise ValueError(
            f"the checkpoint holds {sorted(checkpoint)}, but no state_dict: give one that "
            "MMEngine's runner saved"
        )
    meta = checkpoint.get("meta", {})
    if not meta.get("dataset_meta", {}).get("classes"):
        raise ValueError("the checkpoint does not name its classes (meta.dataset_meta.classes)")
    kept = {name: meta[name] for name in (*RUN, *CONVERSION) if name in meta}
    return dict(
        meta=dict(
            cfg=release_config(config).pretty_text,
            dataset_meta=_plain(dict(meta["dataset_meta"]), "dataset_meta"),
            mmdet_embedmask=__version__,
            **_plain(kept, "meta"),
        ),
        state_dict=_tensors(checkpoint["state_dict"]),
    )


def named_globals(path: Path) -> list[str]:
    """Functions and classes that a checkpoint names beyond what torch itself calls safe, sorted.

    What this process, this package included, has allowed in addition does not count: a user's torch
    knows nothing of it.
    """
    with nothing_allowed():
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))


def _tensors(state_dict: dict[str, Any]) -> "OrderedDict[str, Tensor]":
    """The same weights on the CPU, with the versions that modules wrote beside them."""
    weights: OrderedDict[str, Tensor] = OrderedDict()
    for name, value in state_dict.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"state_dict[{name!r}] is {type(value).__name__}, not a tensor")
        weights[name] = value.detach().cpu().clone()
    if (versions := getattr(state_dict, "_metadata", None)) is not None:
        weights._metadata = versions  # type: ignore[attr-defined]
    return weights


def _plain(value: Any, name: str) -> Any:
    """The value, if it is made of what every safe loader takes."""
    if isinstance(value, dict):
        return {str(key): _plain(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{name}[{i}]") for i, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name} is {type(value).__name__}: only text and numbers can be released")
