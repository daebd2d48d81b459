"""A release folder, made whole or not at all.

NAME.pth                   weights, config and classes; NAME ends with the SHA-256's beginning
NAME.py                    the config
NAME.log, NAME.log.json    the training log, as text and as figures; converted weights have none
metrics.json               COCO's figures of the evaluation
environment.json           what it was released with
metafile_entry.yml         for configs/embedmask/metafile.yml
readme_row.md              the row that the model zoo's table will have
verification/              an image, and what the model predicts for it
SHA256SUMS                 of all of them; `sha256sum -c SHA256SUMS` reads it
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import yaml
from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from ..benchmark.machine import describe_environment
from ..files import checkpoint_bytes, sha256, whole_folder, write_bytes, write_json
from ..loading import checkpoint_config, load_config
from .checkpoint import HASH_DIGITS, release_checkpoint
from .model_zoo import NO_LOG, TRAINING_LOG, coco_metrics, metafile_entry, zoo_table
from .run_record import RunRecord, evaluates_at, read_metrics, read_run
from .stored_prediction import compare_records
from .verification import ENTRY, ENVIRONMENT, IMAGE, PREDICTION, predict_alone, write_sums
from .zoo_config import check_same_model, path_in_repository, with_chosen_threshold

MEASURE = "run tools/test.py on it and give the JSON file that it writes with --metrics"
METRICS_FILE = "metrics.json"
ROW = "readme_row.md"


@dataclass(frozen=True, kw_only=True)
class ZooFacts:
    """What the model zoo says of a model beyond its figures.

    Args:
        config: path of its config, which lies in the repository's ``configs/embedmask/``.
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
    checkpoint: Path,
    *,
    work_dir: Path,
    out: Path,
    image: Path,
    facts: ZooFacts,
    metrics: Path | None = None,
) -> Path:
    """Make a release folder of a trained checkpoint.

    Args:
        checkpoint: as MMEngine's runner saved it, or converted.
        work_dir: of its run.
        out: folder that the release folder is put into.
        image: that the stored prediction is made of.
        facts: for the model zoo.
        metrics: see `run_record.read_run`; without it a converted checkpoint has no figures.

    Returns:
        The release folder, named as the checkpoint in it.

    Raises:
        ValueError: if something is missing, the config is not the model's, the model detects
            nothing on the image, or the release exists.
    """
    path = path_in_repository(Path(facts.config))
    named, trained = load_config(Path(facts.config)), checkpoint_config(checkpoint)
    config = with_chosen_threshold(trained, named)
    loaded = CheckpointLoader.load_checkpoint(str(checkpoint), map_location="cpu")
    released = release_checkpoint(loaded, config)
    classes = released["meta"]["dataset_meta"]["classes"]
    check_same_model(config, classes, named, path)
    facts = replace(facts, config=path)
    run = _run_record(checkpoint, loaded["meta"], config=config, work_dir=work_dir, metrics=metrics)
    if metrics is None and config.model != trained.model:
        raise ValueError(
            f"{checkpoint} was evaluated with another mask_thr than {path} sets: {MEASURE}"
        )
    content = checkpoint_bytes(released)
    date = str(loaded["meta"].get("time", "undated")).split("_")[0]
    stem = Path(facts.config).stem
    name = f"{stem}_{date}-{sha256(content)[:HASH_DIGITS]}"
    target = out / name
    if target.exists():
        raise ValueError(f"{target} exists already: this very checkpoint has been released there")
    with whole_folder(target) as folder:
        write_bytes(folder / f"{name}.pth", content)
        write_bytes(folder / f"{name}.py", released["meta"]["cfg"].encode())
        _write_run(folder, name, run)
        write_json(folder / ENVIRONMENT, describe_environment())
        _write_zoo(folder, name, run=run, config=config, facts=facts)
        _write_verification(folder, name, image)
        write_sums(folder)
    return target


def _run_record(
    checkpoint: Path,
    meta: dict[str, Any],
    *,
    config: Config,
    work_dir: Path,
    metrics: Path | None,
) -> RunRecord:
    """Figures of the checkpoint, and the log of its training where there was one."""
    if "iter" not in meta:
        if metrics is None:
            raise ValueError(
                f"{checkpoint} names no iteration, because no training run saved it (converted "
                f"weights?), so that no log can hold its figures: {MEASURE}"
            )
        return RunRecord(read_metrics(metrics))
    epoch, iteration = int(meta["epoch"]), int(meta["iter"])
    if metrics is None and not evaluates_at(config.train_cfg, epoch, iteration):
        raise ValueError(f"the run has not evaluated {checkpoint}: {MEASURE}")
    return read_run(work_dir, iteration, metrics)


def _write_run(folder: Path, name: str, run: RunRecord) -> None:
    for path, ending in ((run.log, "log"), (run.scalars, "log.json")):
        if path is not None:
            write_bytes(folder / f"{name}.{ending}", path.read_bytes())
    write_json(folder / METRICS_FILE, run.metrics)


def _write_zoo(folder: Path, name: str, *, run: RunRecord, config: Config, facts: ZooFacts) -> None:
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
    if run.log is None:
        metadata[TRAINING_LOG] = NO_LOG
    if run.memory is not None:
        metadata["Training Memory (GB)"] = round(run.memory / 1024, 1)
    return metadata


def _schedule(config: Config) -> str:
    """Length of the training in what the config counts."""
    kinds = {"max_iters": "iterations", "max_epochs": "epochs"}
    train_cfg = config.get("train_cfg") or {}
    lengths = (f"{train_cfg[key]} {unit}" for key, unit in kinds.items() if key in train_cfg)
    return next(lengths, "-")


def _write_verification(folder: Path, name: str, image: Path) -> None:
    picture = cv2.imread(str(image))
    if picture is None:
        raise ValueError(f"{image} is not an image that OpenCV can read: give another (--image)")
    write_bytes(folder / IMAGE, cv2.imencode(".png", picture)[1].tobytes())
    records, config = predict_alone(folder / f"{name}.pth", folder / IMAGE)
    if not records:
        raise ValueError(
            f"the model detects nothing on {image}, so that its prediction would verify nothing: "
            "give an image with objects (--image)"
        )
    # A prediction that cannot be compared now could never be verified.
    compare_records(records, records, config.model.get("test_cfg") or {})
    write_json(folder / PREDICTION, records)
