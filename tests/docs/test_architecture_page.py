"""docs/architecture.md, its picture and docs/method.md name files and functions that there are."""

import ast
import re

import pytest
from doc_pages import ROOT

PICTURE = ROOT / "docs" / "architecture.svg"
PAGES = [ROOT / "docs" / "architecture.md", PICTURE, ROOT / "docs" / "method.md"]
STEP = re.compile(r"([\w/]+\.py): ([\w.]+(?:, [\w.]+)*)")


def steps(path):
    """(file, name) of every step that a page or picture names."""
    found = STEP.findall(path.read_text(encoding="utf-8"))
    return [(file, name) for file, names in found for name in names.split(", ")]


def defined(path):
    """Functions, classes and their methods, as Class.method."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{f.name}" for f in node.body if isinstance(f, ast.FunctionDef)}
    return names


@pytest.mark.parametrize("file, name", sorted({step for page in PAGES for step in steps(page)}))
def test_every_step_of_page_and_picture_is_in_the_code(file, name):
    assert name in defined(ROOT / "mmdet_embedmask" / file)


def test_the_picture_has_both_ways():
    assert len(steps(PICTURE)) == 3 + 9 + 9
    assert all(f">{way}<" in PICTURE.read_text() for way in ("Training", "Inference"))
