"""Whether a release folder is what was released: its files, its name, its prediction."""

import json
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from ..detector import build_detector, checkpoint_config
from ..files import write_bytes
from .checkpoint import HASH_DIGITS, named_globals, sha256
from .stored_prediction import Agreement, compare_records, predict_records

SUMS = "SHA256SUMS"
ENVIRONMENT = "environment.json"
ENTRY = "metafile_entry.yml"
IMAGE = Path("verification") / "input.png"
PREDICTION = Path("verification") / "output.json"


def verify(folder: Path) -> Agreement:
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
    (entry,) = yaml.safe_load((folder / ENTRY).read_text(encoding="utf-8"))
    if not entry.get("Weights", checkpoint.name).endswith(checkpoint.name):
        raise ValueError(f"{folder / ENTRY} names other weights: {entry['Weights']}")
    stored = json.loads((folder / PREDICTION).read_text())
    found, config = predict_alone(checkpoint, folder / IMAGE)
    agreement = compare_records(stored, found, config.model.test_cfg)
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


def _check_plain(checkpoint: Path) -> None:
    """Check that a user's torch loads it safely, without what this package allows beyond."""
    if names := named_globals(checkpoint):
        raise ValueError(f"{checkpoint.name} holds more than tensors: {', '.join(names)}")


def _check_sums(folder: Path) -> None:
    if not (folder / SUMS).is_file():
        raise ValueError(f"{folder} is not a release folder: it has no {SUMS}")
    listed = dict(
        reversed(line.split("  ", 1)) for line in (folder / SUMS).read_text().splitlines()
    )
    for path, digest in listed.items():
        if not (folder / path).is_file():
            raise ValueError(f"{folder / path} is missing")
        if sha256((folder / path).read_bytes()) != digest:
            raise ValueError(f"{folder / path} has changed since it was released")
    if added := sorted(set(_files(folder)) - set(listed)):
        raise ValueError(f"{folder} holds files that were not released: {', '.join(added)}")


def _files(folder: Path) -> list[str]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in paths]
    return [name for name in names if name != SUMS]
