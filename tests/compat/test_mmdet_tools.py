"""MMDetection's tools are found in a wheel and a checkout, and run as the main program."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmdet_embedmask.compat import mmdet_tools
from mmdet_embedmask.compat.mmdet_tools import run_mmdet_tool

TOOL = """
import pathlib, sys
pathlib.Path(sys.argv[1]).write_text(__name__ + " " + " ".join(sys.argv[2:]))
"""


@pytest.fixture
def package(monkeypatch, tmp_path) -> Path:
    folder = tmp_path / "checkout" / "mmdet"
    folder.mkdir(parents=True)
    spec = SimpleNamespace(submodule_search_locations=[str(folder)])
    monkeypatch.setattr(mmdet_tools, "find_spec", lambda name: spec)
    return folder


@pytest.mark.parametrize("place", [".mim/tools", "../tools"])
def test_a_tool_runs_as_the_main_program_with_our_arguments(place, package, monkeypatch, tmp_path):
    (package / place).mkdir(parents=True)
    (package / place / "train.py").write_text(TOOL)
    monkeypatch.setattr(sys, "argv", ["ours", str(tmp_path / "out"), "config.py", "--amp"])

    run_mmdet_tool("train")

    assert (tmp_path / "out").read_text() == "__main__ config.py --amp"


def test_a_wheel_goes_before_a_checkout(package, monkeypatch, tmp_path):
    for place in (".mim/tools", "../tools"):
        (package / place).mkdir(parents=True)
        (package / place / "test.py").write_text(
            f"import pathlib; pathlib.Path({str(tmp_path / 'out')!r}).write_text({place!r})"
        )
    run_mmdet_tool("test")
    assert (tmp_path / "out").read_text() == ".mim/tools"


def test_a_missing_tool_is_named_with_the_cure(package):
    with pytest.raises(FileNotFoundError) as error:
        run_mmdet_tool("train")
    assert "MMDetection's tool train.py was not found" in str(error.value)
    assert str(package / ".mim/tools/train.py") in str(error.value)
    assert "pip install --force-reinstall --no-deps" in str(error.value)


def test_a_missing_mmdet_is_named(monkeypatch):
    monkeypatch.setattr(mmdet_tools, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="mmdet is not installed"):
        run_mmdet_tool("train")


def test_the_installed_mmdet_has_the_tools_that_we_run():
    assert mmdet_tools._find_tool("train").is_file()
    assert mmdet_tools._find_tool("test").is_file()
