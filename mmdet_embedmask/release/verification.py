"""Whether a release folder is what was released: its files, its name, its prediction."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from ..files import sha256, write_bytes
from ..loading import build_detector, checkpoint_config
from .checkpoint import HASH_DIGITS, named_globals
from .model_zoo import zoo_rows
from .stored_prediction import StoredAgreement, compare_records, predict_records

SUMS = "SHA256SUMS"
SUM = re.compile(r"([0-9a-f]{64})  (.+)")
"""A line of it."""

ENVIRONMENT = "environment.json"
ENTRY = "metafile_entry.yml"
IMAGE = Path("verification") / "input.png"
PREDICTION = Path("verification") / "output.json"


def verify_release(folder: Path) -> StoredAgreement:
    """Check a release folder: every file's hash, the name, and the stored prediction.

    Args:
        folder: that `publish` made, or a download of it.

    Raises:
        ValueError: naming what is missing, changed, or predicted differently.
    """
    _check_sums(folder)
    checkpoints = sorted(folder.glob("*.pth"))
    if len(checkpoints) != 1:
        raise ValueError(f"{folder} holds {len(checkpoints)} checkpoints, not one")
    (checkpoint,) = checkpoints
    digits = sha256(checkpoint.read_bytes())[:HASH_DIGITS]
    if not checkpoint.stem.endswith(f"-{digits}"):
        raise ValueError(f"{checkpoint.name} does not end with its SHA-256's beginning, {digits}")
    _check_plain(checkpoint)
    _check_entry(folder / ENTRY, checkpoint)
    with _told(f"{checkpoint} cannot predict {IMAGE}"):
        found, config = predict_alone(checkpoint, folder / IMAGE)
    with _told(f"{folder / PREDICTION} cannot be compared"):
        stored = json.loads((folder / PREDICTION).read_text())
        agreement = compare_records(stored, found, config.model.get("test_cfg") or {})
    if not stored:
        raise ValueError(f"{folder / PREDICTION} is empty and verifies nothing")
    if not agreement.holds:
        raise ValueError(
            f"{checkpoint.name} predicts something else than what is stored: {agreement.missing} "
            f"of {agreement.detections} stored and {len(found)} found detections have no "
            f"counterpart. {ENVIRONMENT} says what it was released with"
        )
    return agreement


def predict_alone(checkpoint: Path, image: Path) -> tuple[list[dict[str, Any]], Config]:
    """Predict from the checkpoint alone, as its users will."""
    config = checkpoint_config(checkpoint)
    return predict_records(build_detector(config, checkpoint, "cpu"), config, image), config


def write_sums(folder: Path) -> None:
    """Write the hashes of all files."""
    lines = [f"{sha256((folder / path).read_bytes())}  {path}\n" for path in _files(folder)]
    write_bytes(folder / SUMS, "".join(lines).encode())


@contextmanager
def _told(fault: str) -> Iterator[None]:
    """Tell any error inside as a fault of the release: damaged files fail in many ways."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{fault} ({type(error).__name__}: {reason})") from error


def _check_plain(checkpoint: Path) -> None:
    """Check that a user's torch loads it safely, without what this package allows in addition."""
    with _told(f"{checkpoint} is no checkpoint"):
        names = named_globals(checkpoint)
    if names:
        raise ValueError(f"{checkpoint.name} holds more than tensors: {', '.join(names)}")


def _check_entry(path: Path, checkpoint: Path) -> None:
    """Check that the zoo can take the entry, and that it names no other weights."""
    with _told(f"{path} is no entry of a metafile"):
        (entry,) = yaml.safe_load(path.read_text(encoding="utf-8"))
        zoo_rows(entry)
        is_its_own = entry.get("Weights", checkpoint.name).endswith(checkpoint.name)
    if not is_its_own:
        raise ValueError(f"{path} names other weights: {entry['Weights']}")


def _check_sums(folder: Path) -> None:
    """Check that the folder holds the files that were released, as they were, and no others."""
    if not (folder / SUMS).is_file():
        raise ValueError(f"{folder} is not a release folder: it has no {SUMS}")
    listed = set()
    for line in (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines():
        parts = SUM.fullmatch(line)
        if not parts:
            raise ValueError(
                f"{folder / SUMS} holds a line that is no SHA-256 and file name: {line!r}"
            )
        digest, path = parts.groups()
        if not (folder / path).is_file():
            raise ValueError(f"{folder / path} is missing")
        if not (folder / path).resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{folder / SUMS} names {path}, which does not lie in {folder}")
        if sha256((folder / path).read_bytes()) != digest:
            raise ValueError(f"{folder / path} has changed since it was released")
        listed.add(path)
    if added := sorted(set(_files(folder)) - listed):
        raise ValueError(f"{folder} holds files that were not released: {', '.join(added)}")


def _files(folder: Path) -> list[str]:
    """Names of all files below a folder; a link is one, wherever it leads."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir())
    names = [path.relative_to(folder).as_posix() for path in paths]
    return [name for name in names if name != SUMS]
