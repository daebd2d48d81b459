"""A report of all that is measured on a GPU, part by part; a later run completes it."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from ..files import write_bytes, write_json
from ..tables import markdown_table
from .mask_stage import FLOOR
from .peak_memory import free_memory
from .report_parts import INFERENCE_PARTS, PARTS, PartResult, ReportPart, Setup, Table
from .report_scale import BOXES_ALONE, COND_INST, EMBED_MASK, FUSED, SMALL_IN_WORDS
from .turns import Attempts, NotMeasured

REPORT_FILE, FIGURES_FILE = "report.md", "report.json"

WHOLE_PART = "the whole part"
"""Name of what was not measured when a part ends with an error of its own."""

MAX_OF_FCOS = 1.15
"""What EmbedMask's inference of one image may take at most, as a multiple of FCOS's."""

MAX_BEYOND_WRITING = 0.5
"""Milliseconds that the mask stage may take beyond writing its output."""

SUMMARY_COLUMNS = (EMBED_MASK, FUSED, COND_INST)


@dataclass(frozen=True)
class StoredPart:
    """A part that has been measured.

    Args:
        result: of it.
        seconds: that it took.
    """

    result: PartResult
    seconds: float

    @property
    def failures(self) -> list[NotMeasured]:
        """What failed unexpectedly."""
        return [each for each in self.result.not_measured if not each.expected]

    def to_json(self) -> dict[str, Any]:
        """What `json` can write."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "StoredPart":
        """What `to_json` gave."""
        result = content["result"]
        return cls(
            PartResult(
                [Table(**table) for table in result["tables"]],
                result["figures"],
                [NotMeasured(**each) for each in result["not_measured"]],
            ),
            content["seconds"],
        )


@dataclass
class Report:
    """A report in its folder.

    Args:
        folder: where it is written.
        setup: what it measures on.
        machine: see `describe_machine`.
        parts: that have been measured, by name.
    """

    folder: Path
    setup: Setup
    machine: dict[str, str]
    parts: dict[str, StoredPart] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        """What figures must have in common to stand in one report."""
        # As they are read again: without tuples.
        return dict(json.loads(json.dumps(asdict(self.setup.scale))))

    def resume(self) -> None:
        """Take over what an earlier run has measured; what failed there is measured again.

        Raises:
            ValueError: if the folder holds a report of other settings or another machine.
        """
        path = self.folder / FIGURES_FILE
        if not path.exists():
            return
        cure = "take another --out, or remove that folder"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            stored = {name: StoredPart.from_json(part) for name, part in content["parts"].items()}
            earlier = dict(content["settings"], **content["machine"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{path} is not a report that this version reads: {cure}") from error
        now = dict(self.settings(), **self.machine)
        differences = [
            f"{name} was {earlier.get(name, 'not there')} and is {now.get(name, 'not there')}"
            for name in sorted(earlier.keys() | now.keys())
            if earlier.get(name) != now.get(name)
        ]
        if differences:
            raise ValueError(
                f"{self.folder} holds a report with which no other figures can be mixed "
                f"({'; '.join(differences)}): {cure}"
            )
        self.parts = {name: part for name, part in stored.items() if not part.failures}

    def measure(self, names: Iterable[str]) -> list[NotMeasured]:
        """Measure these parts unless they are there already; the report is written after each.

        Args:
            names: of PARTS.

        Returns:
            What failed unexpectedly.
        """
        self.write()
        failures = []
        for name in names:
            if name in self.parts:
                print(f"{name}: measured before")
                continue
            self.parts[name] = run_part(PARTS[name], self.setup)
            failures += self.parts[name].failures
            self.write()
            print(f"\n{part_text(name, self.parts[name])}\n", flush=True)
        return failures

    def summary(self) -> Table:
        """All of it in a few lines."""
        return summary_of({name: part.result for name, part in self.parts.items()})

    def write(self) -> None:
        """Write both files."""
        parts = {name: part.to_json() for name, part in self.parts.items()}
        content = dict(settings=self.settings(), machine=self.machine, parts=parts)
        write_json(self.folder / FIGURES_FILE, content)
        write_bytes(self.folder / REPORT_FILE, self.text().encode())

    def text(self) -> str:
        """The report in Markdown."""
        sections = [f"# EmbedMask beside other detectors on: {self.machine['device']}"]
        if self.setup.scale.small:
            sections.append(SMALL_IN_WORDS)
        if not self.setup.on_gpu:
            sections.append("**Measured on a CPU: these figures say nothing of a GPU.**")
        sections.append(
            "All weights are untrained; each detector is made to find the same number of "
            "instances. An image is noise."
        )
        missing = [name for name in PARTS if name not in self.parts]
        if missing:
            sections.append(
                f"Not measured yet: {', '.join(missing)}. The same command measures them."
            )
        if (short := self.summary()).rows:
            sections += ["## In short", table_text(short)]
        sections.append("## Environment")
        sections.append(
            "What the figures below depend on. On a GPU, 'float32' below is with TF32 where it is "
            "on here."
        )
        sections.append(markdown_table(["", "is"], [[*item] for item in self.machine.items()]))
        sections += [part_text(name, self.parts[name]) for name in PARTS if name in self.parts]
        return "\n\n".join(sections) + "\n"


def run_part(part: ReportPart, setup: Setup) -> StoredPart:
    """Measure a part; an error that ends it is its result."""
    attempts = Attempts()
    result = PartResult([], None, attempts.not_measured)
    start = time.monotonic()
    with attempts.attempt(WHOLE_PART):
        result = part.measure(setup)
    free_memory()
    return StoredPart(result, time.monotonic() - start)


def part_text(name: str, part: StoredPart) -> str:
    """A part's section in Markdown."""
    sections = [f"## {PARTS[name].title}"]
    sections += [table_text(table) for table in part.result.tables]
    missing = [f"- {each.name}: not measured: {each.reason}" for each in part.result.not_measured]
    if missing:
        sections.append("\n".join(missing))
    return "\n\n".join(sections)


def table_text(table: Table) -> str:
    """A table in Markdown, below what it means."""
    if not table.rows:
        return table.meaning
    return f"{table.meaning}\n\n{markdown_table(table.header, table.rows)}"


def summary_of(results: Mapping[str, PartResult]) -> Table:
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
            cells = [str(waits.get(column) or "") for column in SUMMARY_COLUMNS]
            rows.append(["Waits of the host, one image", *cells, ""])
    if "masks" in results:
        rows += _masks(results["masks"])
    for name in ("training", "training-amp"):
        if name in results:
            seconds = {f["name"]: median(f["seconds"]) for f in results[name].figures or []}
            rows.append([f"{PARTS[name].title}, of {COND_INST}", *_ratios(seconds, COND_INST), ""])
    meaning = (
        "Whole inference as a multiple of FCOS's; the mask stage alone (bitmaps), milliseconds "
        f"beyond writing its output; a step of training as a multiple of {COND_INST}'s. The aims "
        "are of a GPU at full size."
    )
    return Table(meaning, ["", *SUMMARY_COLUMNS, "aim of EmbedMask"], rows)


def _inference(name: str, result: PartResult) -> list[str]:
    totals = {figure["name"]: figure["total_ms"]["p50"] for figure in result.figures or []}
    aim = f"at most {MAX_OF_FCOS}" if name == "inference" else ""
    return [f"{PARTS[name].title}, of {BOXES_ALONE}", *_ratios(totals, BOXES_ALONE), aim]


def _masks(result: PartResult) -> list[list[str]]:
    rows = []
    for area in dict.fromkeys(figure["area"] for figure in result.figures or []):
        times = {f["name"]: median(f["times_ms"]) for f in result.figures if f["area"] == area}
        beyond = {name: time - times[FLOOR] for name, time in times.items() if FLOOR in times}
        cells = [f"{beyond[column]:.2f}" if column in beyond else "" for column in SUMMARY_COLUMNS]
        label = f"Mask stage beyond writing, objects of {100 * area:.3g}% (ms)"
        rows.append([label, *cells, f"at most {MAX_BEYOND_WRITING}"])
    return rows


def _ratios(values: Mapping[str, float], reference: str) -> list[str]:
    return [
        f"{values[column] / values[reference]:.2f}"
        if column in values and reference in values
        else ""
        for column in SUMMARY_COLUMNS
    ]
