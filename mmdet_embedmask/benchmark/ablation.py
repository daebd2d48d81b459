"""Rows of an ablation: what each changes, and mean and spread of what its runs reached.

A row is a config that differs from a base config in a few settings of the model. Those settings,
and nothing else, are carried over to the config that is trained, so that an ablation of the COCO
configs also runs on other data and at other budgets.
"""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from ..files import write_json
from .tables import markdown_table

METRICS = ("coco/bbox_mAP", "coco/segm_mAP")

DONE = "done.json"
"""Written into a run's folder once it has ended, with its options and metrics."""


@dataclass(frozen=True)
class AblationRow:
    """One row.

    Args:
        name: of its config file, without the part that all rows share.
        settings: dotted keys below ``model`` and their values.
        published: mask AP of the paper in percent; None where it gives none.
    """

    name: str
    settings: dict[str, Any]
    published: float | None


def changed_settings(base: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Dotted keys in which ``other`` differs from ``base``, with its values.

    Raises:
        ValueError: if ``other`` lacks a key of ``base``, which cannot be carried over.
    """
    if missing := base.keys() - other.keys():
        raise ValueError(f"the row lacks {sorted(missing)}, which its base has")
    changed: dict[str, Any] = {}
    for key, value in other.items():
        before = base.get(key)
        if isinstance(value, dict) and (key not in base or isinstance(before, dict)):
            # Down to plain values: a command line cannot carry a dict.
            inner = changed_settings(before or {}, value)
            changed.update({f"{key}.{name}": setting for name, setting in inner.items()})
        elif key not in base or value != before:
            changed[key] = value
    return changed


def read_rows(base: Path, row_configs: Sequence[Path], metafile: Path) -> list[AblationRow]:
    """The base itself, without changes, and then every row.

    Args:
        base: config that the rows differ from.
        row_configs: their configs.
        metafile: lists the published figures by config name.
    """
    published = published_mask_ap(metafile)
    base_model = Config.fromfile(base).model.to_dict()
    rows = [AblationRow("base", {}, published.get(base.stem))]
    for path in row_configs:
        settings = changed_settings(base_model, Config.fromfile(path).model.to_dict())
        name = path.stem.removeprefix(base.stem).strip("_")
        rows.append(AblationRow(name, settings, published.get(path.stem)))
    return rows


def published_mask_ap(metafile: Path, dataset: str = "COCO minival") -> dict[str, float]:
    """Mask AP in percent by config name, of a metafile's rows that have one on this data set."""
    models = yaml.safe_load(metafile.read_text(encoding="utf-8"))["Models"]
    return {
        model["Name"]: float(result["Metrics"]["mask AP"])
        for model in models
        for result in model["Results"]
        if result["Dataset"] == dataset and "mask AP" in result["Metrics"]
    }


def final_metrics(work_dir: Path) -> dict[str, float] | None:
    """Box and mask AP (0 to 1) of the last evaluation of the newest run below ``work_dir``.

    Returns:
        Values of METRICS; None if that run was not evaluated.
    """
    logs = sorted(work_dir.glob("*/vis_data/scalars.json"))
    lines = [json.loads(line) for line in logs[-1].read_text().splitlines()] if logs else []
    evaluated = [line for line in lines if all(name in line for name in METRICS)]
    return {name: float(evaluated[-1][name]) for name in METRICS} if evaluated else None


def finished_run(work_dir: Path, options: Sequence[str]) -> dict[str, float] | None:
    """What a run has ended with; None if it was not run, or was interrupted.

    Args:
        work_dir: of the run.
        options: that it must have been run with.

    Raises:
        ValueError: if it was run with others.
    """
    done = work_dir / DONE
    if not done.exists():
        return None
    content = json.loads(done.read_text())
    if content["options"] != list(options):
        raise ValueError(
            f"{work_dir} holds a run with other options, {content['options']}: take another "
            "--work-dir, or remove that folder"
        )
    return content["metrics"]


def write_finished(work_dir: Path, options: Sequence[str], metrics: dict[str, float]) -> None:
    """Mark a run as finished, for `finished_run`."""
    write_json(work_dir / DONE, dict(options=list(options), metrics=metrics))


def ablation_table(rows: Sequence[AblationRow], results: dict[str, list[dict[str, float]]]) -> str:
    """Markdown table of mean and spread (lowest to highest) beside the paper's column.

    Args:
        rows: in the order of the table.
        results: of each row's name, one `final_metrics` a seed.
    """
    header = ["row", "changes", "runs", "box AP", "mask AP", "mask AP of the paper (COCO)"]
    lines = []
    for row in rows:
        runs = results.get(row.name, [])
        settings = ", ".join(f"{key}={value}" for key, value in row.settings.items()) or "none"
        figures = [_mean_and_spread([run[name] for run in runs]) for name in METRICS]
        published = "" if row.published is None else f"{row.published:.1f}"
        lines.append([row.name, settings, str(len(runs)), *figures, published])
    return markdown_table(header, lines)


def _mean_and_spread(values: list[float]) -> str:
    """Percent, as '41.2 (40.1 to 42.0)'."""
    if not values:
        return "not run"
    percent = [100 * value for value in values]
    return f"{statistics.mean(percent):.1f} ({min(percent):.1f} to {max(percent):.1f})"
