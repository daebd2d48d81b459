"""Rows of an ablation: what each changes, and mean and spread of what its runs reached.

A row is a config that differs from a base config in a few settings of the model. Those settings,
and nothing else, are carried over to the config that is trained, so that an ablation of the COCO
configs also runs on other data and at other budgets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from ..tables import markdown_table
from .training_runs import BOX_AP, MASK_AP, mean_and_spread


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
        for result in model.get("Results", [])
        if result["Dataset"] == dataset and "mask AP" in result["Metrics"]
    }


def ablation_table(rows: Sequence[AblationRow], results: dict[str, list[dict[str, float]]]) -> str:
    """Markdown table of mean and spread (lowest to highest) beside the paper's column.

    Args:
        rows: in the order of the table.
        results: of each row's name, one `training_runs.final_metrics` a seed.
    """
    header = ["row", "changes", "runs", "box AP", "mask AP", "mask AP of the paper (COCO)"]
    lines = []
    for row in rows:
        runs = results.get(row.name, [])
        settings = ", ".join(f"{key}={value}" for key, value in row.settings.items()) or "none"
        figures = ["not run", "not run"]
        if runs:
            figures = [
                mean_and_spread([run[name] for run in runs], scale=100)
                for name in (BOX_AP, MASK_AP)
            ]
        published = "" if row.published is None else f"{row.published:.1f}"
        lines.append([row.name, settings, str(len(runs)), *figures, published])
    return markdown_table(header, lines)
