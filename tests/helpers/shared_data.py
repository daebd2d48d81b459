"""Real data that lie beside the project, where they do."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared"


def shared_file(relative: str) -> Path:
    """A file of the data folder beside the project; skips the test by name where it is absent."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"{relative} of the shared data folder is not here")
    return path
