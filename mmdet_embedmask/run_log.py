"""What MMEngine's runner logs: a JSON object of figures a line, a file for every start of a run."""

import json
from pathlib import Path
from typing import Any


def scalar_files(work_dir: Path) -> list[Path]:
    """Files of figures in a run's folder, the newest last."""
    return sorted(work_dir.glob("*/vis_data/scalars.json"))


def read_scalars(path: Path) -> list[dict[str, Any]]:
    """Lines of one of `scalar_files`."""
    return [json.loads(line) for line in path.read_text().splitlines()]
