"""The GPU report in a few lines: EmbedMask beside what it is compared with."""

from collections.abc import Mapping
from statistics import median

from .mask_stage import FLOOR
from .report_parts import INFERENCE_PARTS, PARTS, PartResult, Table
from .report_scale import COND_INST, EMBED_MASK, FCOS, FUSED

MAX_OF_FCOS = 1.15
"""What EmbedMask's inference of one image may take at most, as a multiple of FCOS's."""

MAX_BEYOND_WRITING = 0.5
"""Milliseconds that the mask stage may take beyond writing its output."""

COLUMNS = (EMBED_MASK, FUSED, COND_INST)


def summary(results: Mapping[str, PartResult]) -> Table:
    """Ratios to FCOS and CondInst, the mask stage beyond its floor, waits: a row each.

    Args:
        results: of the parts that have been measured, by name.
    """
    rows = []
    for name in INFERENCE_PARTS:
        if name in results:
            rows.append(_inference(name, results[name]))
    if "inference" in results:
        waits = {f["name"]: f["synchronisations"] for f in results["inference"].figures or []}
        if any(waits.values()):
            cells = [str(waits.get(column) or "") for column in COLUMNS]
            rows.append(["Waits of the host, one image", *cells, ""])
    if "masks" in results:
        rows += _masks(results["masks"])
    for name in ("training", "training-amp"):
        if name in results:
            seconds = {f["name"]: median(f["seconds"]) for f in results[name].figures or []}
            rows.append([f"{PARTS[name].title}, of {COND_INST}", *_ratios(seconds, COND_INST), ""])
    meaning = (
        f"Whole inference as a multiple of {FCOS}'s; the mask stage alone (bitmaps), milliseconds "
        f"beyond writing its output; a step of training as a multiple of {COND_INST}'s. The aims "
        "are of a GPU at full size."
    )
    return Table(meaning, ["", *COLUMNS, "aim of EmbedMask"], rows)


def _inference(name: str, result: PartResult) -> list[str]:
    totals = {figure["name"]: figure["total_ms"]["p50"] for figure in result.figures or []}
    aim = f"at most {MAX_OF_FCOS}" if name == "inference" else ""
    return [f"{PARTS[name].title}, of {FCOS}", *_ratios(totals, FCOS), aim]


def _masks(result: PartResult) -> list[list[str]]:
    rows = []
    for area in dict.fromkeys(figure["area"] for figure in result.figures or []):
        times = {f["name"]: median(f["times_ms"]) for f in result.figures if f["area"] == area}
        beyond = {name: time - times[FLOOR] for name, time in times.items() if FLOOR in times}
        cells = [f"{beyond[column]:.2f}" if column in beyond else "" for column in COLUMNS]
        label = f"Mask stage beyond writing, objects of {100 * area:.3g}% (ms)"
        rows.append([label, *cells, f"at most {MAX_BEYOND_WRITING}"])
    return rows


def _ratios(values: Mapping[str, float], reference: str) -> list[str]:
    return [
        f"{values[column] / values[reference]:.2f}"
        if column in values and reference in values
        else ""
        for column in COLUMNS
    ]
