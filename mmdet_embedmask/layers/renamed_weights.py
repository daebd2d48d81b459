"""Loading checkpoints whose weights have older names.

A module counts its ``_version`` up when its names change; torch writes it into every state dict
and hands it to ``_load_from_state_dict``, where the module renames what is older.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def rename_older(
    state_dict: dict[str, Tensor],
    prefix: str,
    local_metadata: dict[str, Any],
    *,
    version: int,
    renamed: Mapping[str, str],
) -> None:
    """Rename weights in place, if the state dict was written by an older version of the module.

    Args:
        state_dict: of the whole model.
        prefix: of the module.
        local_metadata: what torch wrote of the module; without a ``version`` it is an old one.
        version: with which the present names came.
        renamed: old beginnings of names behind the prefix, and what they are now.
    """
    if (local_metadata.get("version") or 1) >= version:
        return
    for old, new in renamed.items():
        for name in [name for name in state_dict if name.startswith(prefix + old)]:
            state_dict[prefix + new + name.removeprefix(prefix + old)] = state_dict.pop(name)
