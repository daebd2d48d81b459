"""The model zoo's metafile, and the tables that are made of it."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from ..tables import markdown_table

FOLDER, METAFILE = "configs/embedmask/", "metafile.yml"
"""Of the zoo, from a repository's root, and what is in it."""

ZOO_BOX_AP, ZOO_MASK_AP = "box AP", "mask AP"
TASKS = {ZOO_BOX_AP: "Object Detection", ZOO_MASK_AP: "Instance Segmentation"}
HEADER = (
    "config",
    "backbone",
    "style",
    "schedule",
    "memory (GB)",
    "time (ms)",
    "box AP",
    "mask AP / 50 / 75 / s / m / l",
    "on",
    "figures of",
    "download",
)
ABSENT = "-"

TRAINING_LOG, NO_LOG = "Training Log", "none"
"""Metadata of a model that was not trained here, such as converted weights."""

INTRODUCTION = """<!-- Made of metafile.yml by tools/model_zoo.py: edit that file, not this one. -->
# Model zoo

Every config, with the figures that are known of it. *figures of* says whose they are: the paper's
were not measured by us, and training for them takes GPUs that we did not have. Figures in percent;
a dash stands for what is not known. Weights that can be downloaded have a link; with MIM:
`mim download mmdet_embedmask --config NAME --dest DIR`.
[docs/model_zoo.md](../../docs/model_zoo.md) says how weights get here."""

SECTIONS = {
    ".": "Tables 1 and 2",
    "ablations": "Table 3",
    "atss": "On ATSS",
    "rtmdet": "On RTMDet",
    "backbones": "Other backbones",
    "released": "Recipes of the authors' released weights",
}
"""Headings of the models that are trained on COCO, by folder; any other folder's is its name."""

SMALL_DATA = "Small data, from scratch"


def read_models(metafile: Path) -> list[dict[str, Any]]:
    """Models of a metafile, in its order."""
    models: list[dict[str, Any]] = yaml.safe_load(metafile.read_text(encoding="utf-8"))["Models"]
    return models


def zoo_page(models: Sequence[dict[str, Any]], folder: str) -> str:
    """The model zoo's page: a table for every section.

    Args:
        models: of a metafile.
        folder: of the page, as the models' configs name it, with a slash at its end.

    Raises:
        ValueError: if a config does not lie below that folder.
    """
    sections: dict[str, list[dict[str, Any]]] = {}
    for model in models:
        sections.setdefault(_section(model, folder), []).append(model)
    parts = [INTRODUCTION]
    for heading, members in sections.items():
        parts.append(f"## {heading}\n\n{zoo_table(members, folder)}")
    return "\n\n".join(parts) + "\n"


def zoo_table(models: Sequence[dict[str, Any]], config_root: str = "") -> str:
    """Markdown table of models, a row a data set that a model was evaluated on.

    Args:
        models: of a metafile.
        config_root: what links to the configs start from; their paths below it are kept.
    """
    return markdown_table(HEADER, [row for model in models for row in zoo_rows(model, config_root)])


def zoo_rows(model: dict[str, Any], config_root: str = "") -> list[list[str]]:
    """Rows of one model: one for every data set it was evaluated on, one if on none."""
    data: dict[str, Any] = model["Metadata"]
    config = f"[{model['Name']}]({model['Config'].removeprefix(config_root)})"
    shared = [config, *(str(data.get(key, ABSENT)) for key in ("Backbone", "Style", "Schedule"))]
    shared += [str(data.get("Training Memory (GB)", ABSENT)), _inference_time(data)]
    rows = []
    for dataset, metrics in (_figures(model) or {ABSENT: {}}).items():
        figures = [str(metrics.get(ZOO_BOX_AP, ABSENT)), _mask_figures(metrics)]
        source = str(data.get("Source of Results", ABSENT))
        rows.append([*shared, *figures, dataset, source, _download(model)])
    return rows


def metafile_entry(
    name: str,
    config: str,
    *,
    metadata: dict[str, Any],
    dataset: str,
    metrics: dict[str, float],
    weights: str | None = None,
) -> dict[str, Any]:
    """A model of the metafile.

    Args:
        name: stem of the config, in lower case, as MIM wants it.
        config: its path from the repository's root.
        metadata: Backbone, Schedule and the like.
        dataset: that the metrics are of.
        metrics: ``box AP`` and ``mask AP`` with its kinds, in percent.
        weights: where the checkpoint can be downloaded; None: nowhere yet.
    """
    results = []
    for main, task in TASKS.items():
        chosen = {key: value for key, value in metrics.items() if key.startswith(main)}
        if chosen:
            results.append(dict(Task=task, Dataset=dataset, Metrics=chosen))
    entry: dict[str, Any] = {
        "Name": name.lower(),
        "In Collection": "EmbedMask",
        "Config": config,
        "Metadata": metadata,
        "Results": results,
    }
    return entry | ({"Weights": weights} if weights else {})


def coco_metrics(figures: dict[str, float]) -> dict[str, float]:
    """CocoMetric's figures by the metafile's names, in percent; what is not measured is left out.

    Args:
        figures: ``coco/segm_mAP_50`` and the like, 0 to 1, or -1.
    """
    kinds = {"": "", "_50": "50", "_75": "75", "_s": "s", "_m": "m", "_l": "l"}
    wanted = {
        f"coco/{kind}_mAP{suffix}": f"{name}{short}"
        for kind, name in (("bbox", ZOO_BOX_AP), ("segm", ZOO_MASK_AP))
        for suffix, short in kinds.items()
    }
    return {
        name: round(100 * figures[key], 1)
        for key, name in wanted.items()
        if figures.get(key, -1) >= 0
    }


def _section(model: dict[str, Any], folder: str) -> str:
    """Heading of the table that a model belongs to."""
    config = PurePosixPath(model["Config"])
    if not model["Config"].startswith(folder) or ".." in config.parts:
        raise ValueError(
            f"metafile: the config of {model['Name']}, {model['Config']}, does not lie below "
            f"{folder}: put it there and write its path from the repository's root"
        )
    if model["Metadata"]["Training Data"] != "COCO":
        return SMALL_DATA
    subfolder = config.relative_to(folder).parent.as_posix()
    return SECTIONS.get(subfolder, subfolder)


def _figures(model: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Metrics by data set, of both tasks together."""
    figures: dict[str, dict[str, float]] = {}
    for result in model.get("Results", []):
        figures.setdefault(result["Dataset"], {}).update(result["Metrics"])
    return figures


def _mask_figures(metrics: dict[str, float]) -> str:
    """Mask AP and as many of its kinds as there are."""
    names = [f"{ZOO_MASK_AP}{kind}" for kind in ("", "50", "75", "s", "m", "l")]
    return " / ".join(str(metrics[name]) for name in names if name in metrics) or ABSENT


def _inference_time(data: dict[str, Any]) -> str:
    times = data.get("inference time (ms/im)")
    return f"{times[0]['value']} ({times[0]['hardware']})" if times else ABSENT


def _download(model: dict[str, Any]) -> str:
    weights = model.get("Weights")
    if not weights:
        return ABSENT
    model_link = f"[model]({weights})"
    if model["Metadata"].get(TRAINING_LOG) == NO_LOG:
        return f"{model_link} | no log"
    return f"{model_link} | [log]({weights.removesuffix('.pth')}.log.json)"
