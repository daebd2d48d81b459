"""The messages that docs/troubleshooting.md explains are ones that somebody prints."""

import ast
import functools
import importlib.util
import re
from pathlib import Path

import pytest
from doc_pages import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
MESSAGES = [
    message
    for line in PAGE.read_text().splitlines()
    if line.startswith("**")
    for message in re.findall(r"`([^`]+)`", line.split("** /")[0])
]
OTHERS = ("No module named", "nan", "mim", "weight", "size mismatch", "... is not in the mmdet::")
"""Beginnings of what Python, torch's modules or MMEngine's registry say, and of commands."""


def texts(folder):
    """All string constants below a folder, parts of f-strings joined by a gap."""
    for path in Path(folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8", errors="replace"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(v.value if isinstance(v, ast.Constant) else "\0" for v in node.values)


@functools.cache
def everything():
    packages = ("mmengine", "mmdet", "torch")
    folders = [ROOT / "mmdet_embedmask", ROOT / "tools"]
    for name in packages:
        folder = Path(importlib.util.find_spec(name).submodule_search_locations[0])
        parts = dict(mmengine=["."], mmdet=["apis", "evaluation", "."], torch=["serialization.py"])
        for part in parts[name]:
            folders.append(folder / part)
    files = [f for f in folders if f.suffix == ".py"]
    found = [t for folder in folders if folder.suffix != ".py" for t in texts(folder)]
    found += [f.read_text() for f in files]
    return "\n".join(found)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_one_that_somebody_prints(message):
    if message.startswith(OTHERS):
        return
    fragments = re.split(r"\.\.\.|'[^']*'|\bN\b|\d+", message)
    fragments = [part.strip(" :;,.`()") for part in fragments]
    for part in filter(lambda part: len(part) > 3, fragments):
        assert part in everything(), part


def test_the_page_explains_more_than_25_messages():
    assert len(MESSAGES) > 25
