"""Checkpoint files: read by torch's safe loader alone, written whole or not at all."""

import re
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..compat.checkpoint import RefusedContentError, mmengine_content
from ..files import checkpoint_bytes, file_identity, sha256, write_bytes
from .errors import ConversionError, listed

FOREIGN_CODE = re.compile(r"GLOBAL (\S+)")
"""How torch's safe loader names a class or function that it refuses."""

PARALLEL_PREFIX = "module."
"""Before every name where a parallel wrapper was saved instead of the network."""


def read_checkpoint(path: Path) -> tuple[dict[str, Any], str]:
    """Read a file of any format that torch ever wrote; nothing in it is run.

    Returns:
        The dictionary in it, and the file's SHA-256.

    Raises:
        ConversionError: if it is no such file, or asks for code.
    """
    # The digest is that of the bytes that were read.
    content = path.read_bytes()
    try:
        with mmengine_content():
            checkpoint = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    # Bytes that are no checkpoint make the loader fail in any way: KeyError, EOFError, ...
    except Exception as error:
        raise ConversionError(f"{path} {_what_is_wrong(error)}") from error
    if not isinstance(checkpoint, dict):
        raise ConversionError(
            f"{path} holds {type(checkpoint).__name__}, not the dictionary that a checkpoint is: "
            "give the file that a training program saved"
        )
    return checkpoint, sha256(content)


def _what_is_wrong(error: Exception) -> str:
    """The cause and the cure, without torch's advice to load unsafely."""
    if isinstance(error, RefusedContentError):
        return f"is refused. {error}"
    if match := FOREIGN_CODE.search(str(error)):
        return (
            f"asks for {match[1]}, which is code and no weight: it was refused and nothing of it "
            "was run. Take the file from its authors; if it is theirs, let the program that wrote "
            "it save its weights alone"
        )
    reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
    if "weights_only" in reason:
        reason = type(error).__name__
    return (
        f"is no checkpoint that torch's safe loader can read ({reason}): it is damaged, cut short, "
        "or of another kind. Compare its size with the original's and download it again"
    )


def released_weights(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """Weights by name, without the prefix of a parallel wrapper.

    Args:
        checkpoint: with ``model`` or ``state_dict`` beside what else a program saves, or the
            weights themselves.
    """
    inner = next((key for key in ("model", "state_dict") if key in checkpoint), None)
    weights = named_tensors(checkpoint[inner] if inner else checkpoint)
    if all(name.startswith(PARALLEL_PREFIX) for name in weights):
        return {name.removeprefix(PARALLEL_PREFIX): value for name, value in weights.items()}
    return weights


def named_tensors(weights: Any) -> dict[str, Tensor]:
    """Check that these are weights.

    Raises:
        ConversionError: if they are anything else.
    """
    if not isinstance(weights, Mapping) or not weights:
        raise ConversionError(
            "this checkpoint has no weights by name, neither under 'model' (the authors' programs) "
            "nor under 'state_dict' (MMEngine): give the file that a training program saved"
        )
    others = [
        str(k) for k, v in weights.items() if not (isinstance(k, str) and isinstance(v, Tensor))
    ]
    if others:
        raise ConversionError(
            f"these entries are no tensors: {listed(others)}. Give a checkpoint whose weights lie "
            "under 'model' or 'state_dict' as tensors"
        )
    return dict(weights)


def write_checkpoint(path: Path, checkpoint: dict[str, Any]) -> None:
    """Write a checkpoint that ``torch.load(weights_only=True)`` reads."""
    write_bytes(path, checkpoint_bytes(checkpoint))


def check_output(source: Path, out: Path, force: bool) -> None:
    """Check both paths before any work.

    Raises:
        ConversionError: if there is nothing to read, or something would be lost.
    """
    if not source.is_file():
        raise ConversionError(f"{source} is not a file")
    if out.is_dir():
        raise ConversionError(f"{out} is a folder: name a file to write")
    if file_identity(out) == file_identity(source):
        raise ConversionError(f"{out} is the file to convert: name another one to write")
    if out.exists() and not force:
        raise ConversionError(f"{out} exists: give --force to replace it, or another name")
