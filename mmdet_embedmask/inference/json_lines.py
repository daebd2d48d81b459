"""Records that are kept one by one, and the JSON file that they become."""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ..files import whole_file


class JsonLines(AbstractContextManager["JsonLines"]):
    """A file of one JSON record a line; every record that was added stays, whatever comes after.

    Args:
        path: the file; an earlier one is replaced.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="ascii")

    def add(self, record: Mapping[str, Any]) -> None:
        """Write a record and hand it to the operating system."""
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()

    def __exit__(self, *_: object) -> None:
        self._file.close()


def lines_to_json(lines: Path, path: Path) -> None:
    """Turn a file of JSON lines into one JSON list and remove it, line by line in memory.

    Args:
        lines: of `JsonLines`.
        path: written whole or not at all.
    """
    with lines.open("rb") as records, whole_file(path) as target:
        separator = b"["
        for record in records:
            target.write(separator + b"\n" + record.rstrip())
            separator = b","
        target.write(b"[]\n" if separator == b"[" else b"\n]\n")
    lines.unlink()
