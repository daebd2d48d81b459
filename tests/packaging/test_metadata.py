"""What setup.py says, without building anything."""

import runpy
from pathlib import Path

import pytest
import setuptools

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings(monkeypatch):
    found = {}
    monkeypatch.setattr(setuptools, "setup", lambda **settings: found.update(settings))
    monkeypatch.setattr("sys.argv", ["setup.py", "--name"])
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / "setup.py"))
    return found


def test_pip_install_brings_no_framework(settings):
    names = {requirement.split(">")[0] for requirement in settings["install_requires"]}
    assert names == {"numpy", "packaging", "pycocotools", "tqdm"}


def test_the_extras_are_these_and_the_forks_never_come_with_the_originals(settings):
    extras = settings["extras_require"]
    assert set(extras) == {"lite", "full", "mim", "optional", "tests", "onedl"}
    # The forks and the originals have the same import names.
    forks = {requirement.split(">")[0] for requirement in extras["onedl"]}
    assert forks == {"onedl-mmcv", "onedl-mmengine", "onedl-mmdetection"}
    assert "setuptools<82" in extras["lite"] and "setuptools<82" in extras["mim"]


def test_the_packages_are_ours_alone(settings):
    assert all(name.split(".")[0] == "mmdet_embedmask" for name in settings["packages"])
    assert "mmdet_embedmask.release" in settings["packages"]
