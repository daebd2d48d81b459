"""A release folder: made whole or not at all, and checked.

NAME.pth                   weights, config and classes; NAME ends with the SHA-256's beginning
NAME.py                    the config
NAME.log, NAME.log.json    the training log, as text and as figures
metrics.json               COCO's figures of the evaluation
environment.json           what it was released with
metafile_entry.yml         for configs/embedmask/metafile.yml
readme_row.md              the row that the model zoo's table will have
verification/              an image, and what the model predicts for it
SHA256SUMS                 of all of them; `sha256sum -c SHA256SUMS` reads it
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import yaml
from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from ..detector import build_detector, checkpoint_config
from ..files import write_bytes, write_json, write_png
from .checkpoint import (
    HASH_DIGITS,
    checkpoint_bytes,
    named_globals,
    release_checkpoint,
    release_config,
    sha256,
)
from .environment import describe_environment
from .model_zoo import coco_metrics, metafile_entry, zoo_table
from .stored_prediction import Agreement, compare_records, predict_records
from .training_run import RunRecord, evaluates_at, read_run

SUMS = "SHA256SUMS"
METRICS = "metrics.json"
ENVIRONMENT = "environment.json"
ENTRY = "metafile_entry.yml"
ROW = "readme_row.md"
IMAGE = Path("verification") / "input.png"
PREDICTION = Path("verification") / "output.json"


@dataclass(frozen=True)
class ZooFacts:
    """What the model zoo says of a model beyond its figures.

    Args:
        config: path of its config from the repository's root.
        dataset: that it was evaluated on.
        training_data: that it was trained on.
        source: where the figures come from.
        url: folder that the release will be downloaded from; None: nowhere yet.
    """

    config: str
    dataset: str
    training_data: str
    source: str
    url: str | None


def publish(
    checkpoint: Path, work_dir: Path, out: Path, image: Path, facts: ZooFacts, metrics: Path | None
) -> Path:
    """Make a release folder of a trained checkpoint.

    Args:
        checkpoint: as MMEngine's runner saved it.
        work_dir: of its run.
        out: folder that the release folder is put into.
        image: that the stored prediction is made of.
        facts: for the model zoo.
        metrics: see `training_run.read_run`.

    Returns:
        The release folder, named as the checkpoint in it.

    Raises:
        ValueError: if something is missing, the model detects nothing on the image, or the release
            exists.
    """
    config = checkpoint_config(checkpoint)
    loaded = CheckpointLoader.load_checkpoint(str(checkpoint), map_location="cpu")
    epoch, iteration = int(loaded["meta"]["epoch"]), int(loaded["meta"]["iter"])
    if metrics is None and not evaluates_at(config.train_cfg, epoch, iteration):
        raise ValueError(
            f"the run has not evaluated {checkpoint}: run tools/test.py on it and give the JSON "
            "file that it writes with --metrics"
        )
    run = read_run(work_dir, iteration, metrics)
    content = checkpoint_bytes(release_checkpoint(loaded, config))
    date = str(loaded["meta"].get("time", "undated")).split("_")[0]
    stem = Path(facts.config).stem
    name = f"{stem}_{date}-{sha256(content)[:HASH_DIGITS]}"
    target = out / name
    if target.exists():
        raise ValueError(f"{target} exists already: this very checkpoint has been released there")
    with _whole_folder(target) as folder:
        write_bytes(folder / f"{name}.pth", content)
        write_bytes(folder / f"{name}.py", release_config(config).pretty_text.encode())
        _write_run(folder, name, run)
        write_json(folder / ENVIRONMENT, describe_environment())
        _write_zoo(folder, name, run, config, facts)
        _write_verification(folder, name, image)
        _write_sums(folder)
    return target


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
    found, config = _predict(checkpoint, folder / IMAGE)
    agreement = compare_records(stored, found, config.model.test_cfg)
    if not agreement.holds:
        raise ValueError(
            f"{checkpoint.name} predicts something else than what is stored: {agreement.missing} "
            f"of {agreement.detections} stored and {len(found)} found detections have no "
            f"counterpart. {ENVIRONMENT} says what it was released with"
        )
    return agreement


def _check_plain(checkpoint: Path) -> None:
    """Check that a user's torch loads it safely, without what this package allows beyond."""
    if names := named_globals(checkpoint):
        raise ValueError(f"{checkpoint.name} holds more than tensors: {', '.join(names)}")


def _predict(checkpoint: Path, image: Path) -> tuple[list[dict[str, Any]], Config]:
    """Predict from the checkpoint alone, as its users will."""
    config = checkpoint_config(checkpoint)
    return predict_records(build_detector(config, checkpoint, "cpu"), config, image), config


@contextmanager
def _whole_folder(target: Path) -> Iterator[Path]:
    """A folder to write into that becomes ``target`` at the end; on an error nothing stays."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished_", dir=target.parent))
    try:
        yield unfinished
        unfinished.chmod(0o755)  # mkdtemp's is private
        unfinished.rename(target)
    except BaseException:
        shutil.rmtree(unfinished)
        raise


def _write_run(folder: Path, name: str, run: RunRecord) -> None:
    write_bytes(folder / f"{name}.log", run.log.read_bytes())
    write_bytes(folder / f"{name}.log.json", run.scalars.read_bytes())
    write_json(folder / METRICS, run.metrics)


def _write_zoo(folder: Path, name: str, run: RunRecord, config: Config, facts: ZooFacts) -> None:
    entry = metafile_entry(
        name=Path(facts.config).stem,
        config=facts.config,
        metadata=_metadata(config, run, facts),
        dataset=facts.dataset,
        metrics=coco_metrics(run.metrics),
        weights=f"{facts.url.rstrip('/')}/{name}/{name}.pth" if facts.url else None,
    )
    text = yaml.safe_dump([entry], sort_keys=False, allow_unicode=True, width=100)
    write_bytes(folder / ENTRY, text.encode())
    write_bytes(folder / ROW, (zoo_table([entry]) + "\n").encode())


def _metadata(config: Config, run: RunRecord, facts: ZooFacts) -> dict[str, Any]:
    """What the zoo's columns show, read off the config where it says it."""
    backbone = config.model.backbone
    depth = f"-{backbone.depth}" if "depth" in backbone else ""
    metadata = {
        "Training Data": facts.training_data,
        "Backbone": f"{backbone.type}{depth}",
        "Style": backbone.get("style", "pytorch"),
        "Schedule": _schedule(config),
        "Source of Results": facts.source,
    }
    if run.memory is not None:
        metadata["Training Memory (GB)"] = round(run.memory / 1024, 1)
    return metadata


def _schedule(config: Config) -> str:
    """Length of the training in what the config counts."""
    kinds = {"max_iters": "iterations", "max_epochs": "epochs"}
    lengths = (
        f"{config.train_cfg[key]} {unit}" for key, unit in kinds.items() if key in config.train_cfg
    )
    return next(lengths, "-")


def _write_verification(folder: Path, name: str, image: Path) -> None:
    picture = cv2.imread(str(image))
    if picture is None:
        raise ValueError(f"{image} is not an image that OpenCV can read: give another (--image)")
    write_png(folder / IMAGE, picture)
    records, _ = _predict(folder / f"{name}.pth", folder / IMAGE)
    if not records:
        raise ValueError(
            f"the model detects nothing on {image}, so that its prediction would verify nothing: "
            "give an image with objects (--image)"
        )
    write_json(folder / PREDICTION, records)


def _write_sums(folder: Path) -> None:
    lines = [f"{sha256((folder / path).read_bytes())}  {path}\n" for path in _files(folder)]
    write_bytes(folder / SUMS, "".join(lines).encode())


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
