"""docs/gpu.md names every place where GPU and CPU part, and tests that there are."""

import ast
import re

import pytest
from doc_pages import ROOT

PAGE = ROOT / "docs" / "gpu.md"
ASKS = re.compile(
    r"is_cuda|device\.type|torch\.cuda|\.cpu\(\)|pin_memory|get_device_name|device [!=]= \"c"
)
"""What a line says that asks where it runs, or brings something to the host."""


def rows():
    """Of every row of the table its files and its tests, as (file, name)."""
    text = PAGE.read_text(encoding="utf-8").split("## Where GPU and CPU part")[1]
    for line in text.splitlines():
        if not line.startswith("| `"):
            continue
        files, _, *tests = (cell.strip() for cell in line.strip("|").split("|"))
        named = []
        for part in ";".join(tests).split(";"):
            file, *names = re.findall(r"`([^`]+)`", part) or [None]
            named += [(file, name) for name in names]
        yield re.findall(r"`([^`]+)`", files), named


def test_every_file_that_asks_where_it_runs_is_in_the_table():
    package = ROOT / "mmdet_embedmask"
    paths = [*package.rglob("*.py"), *(ROOT / "tools").rglob("*.py")]
    asking = {path for path in paths if ASKS.search(path.read_text(encoding="utf-8"))}
    listed = {name for files, _ in rows() for name in files}
    places = {
        str(path.relative_to(package if package in path.parents else ROOT)) for path in asking
    }
    assert listed == {place for place in places if not place.startswith(".mim/")}


@pytest.mark.parametrize("files, tests", rows())
def test_every_place_of_the_table_has_tests_that_there_are(files, tests):
    assert tests, files
    for file, name in tests:
        (path,) = (ROOT / "tests").rglob(file)
        functions = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        assert name in {f.name for f in functions if isinstance(f, ast.FunctionDef)}, (file, name)
