"""Each problem is named with what was found, what is wanted and the command that cures it."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from mmdet_embedmask.compat import versions as environment
from mmdet_embedmask.compat.versions import check_environment, find_problems

GOOD = {"torch": "2.13.0+cpu", "mmengine": "0.10.7", "mmcv-lite": "2.1.0", "mmdet": "3.3.0"}
FORKS = {"torch": "2.6.0", "onedl-mmengine": "1.2.0", "onedl-mmcv": "3.0", "onedl-mmdetection": "4"}


def without(name: str) -> dict[str, str]:
    return {key: version for key, version in GOOD.items() if key != name}


@pytest.mark.parametrize(
    "installed",
    [
        GOOD,
        without("mmcv-lite") | {"mmcv": "2.0.0rc4"},
        without("mmcv-lite") | {"mmcv": "2.1.0"},
        GOOD | {"torch": "2.0.0"},
        GOOD | {"torch": "2.14.0.dev20260101+cu128"},
        GOOD | {"mmengine": "0.10.0"},
        without("mmengine") | {"mmengine-lite": "0.10.7"},
    ],
    ids=str,
)
def test_fit_versions_have_no_problem(installed):
    assert find_problems(installed, has_pkg_resources=True) == []


def test_forks_are_taken_whatever_their_version_and_need_no_pkg_resources():
    assert find_problems(FORKS, has_pkg_resources=False) == []


@pytest.mark.parametrize(
    "installed, problem",
    [
        (
            without("torch"),
            'torch is not installed (wanted torch >=2.0). Run: pip install "torch>=2.0"',
        ),
        (
            GOOD | {"torch": "1.13.1+cu117"},
            'torch 1.13.1+cu117 is installed (wanted torch >=2.0). Run: pip install "torch>=2.0"',
        ),
        (
            without("mmengine"),
            "mmengine or mmengine-lite is not installed (wanted mmengine >=0.10.0,<1.0). "
            'Run: pip install "mmengine>=0.10.0,<1.0"',
        ),
        (
            GOOD | {"mmengine": "0.9.1"},
            "mmengine 0.9.1 is installed (wanted mmengine >=0.10.0,<1.0). "
            'Run: pip install "mmengine>=0.10.0,<1.0"',
        ),
        (
            without("mmcv-lite"),
            "mmcv or mmcv-lite is not installed (wanted mmcv >=2.0.0rc4,<2.2.0). "
            'Run: pip install "mmcv-lite==2.1.0"',
        ),
        (
            GOOD | {"mmcv-lite": "2.2.0"},
            "mmcv-lite 2.2.0 is installed (wanted mmcv >=2.0.0rc4,<2.2.0). "
            'Run: pip install "mmcv-lite==2.1.0"',
        ),
        (
            without("mmcv-lite") | {"mmcv": "2.2.0"},
            "mmcv 2.2.0 is installed (wanted mmcv >=2.0.0rc4,<2.2.0). "
            'Run: pip uninstall -y mmcv && pip install "mmcv-lite==2.1.0"',
        ),
        (
            without("mmdet"),
            "mmdet is not installed (wanted mmdet >=3.3.0,<3.4.0). "
            'Run: pip install "mmdet>=3.3.0,<3.4.0"',
        ),
        (
            GOOD | {"mmdet": "2.28.2"},
            "mmdet 2.28.2 is installed (wanted mmdet >=3.3.0,<3.4.0). "
            'Run: pip install "mmdet>=3.3.0,<3.4.0"',
        ),
    ],
)
def test_one_problem_is_told_with_its_cure(installed, problem):
    assert find_problems(installed, has_pkg_resources=True) == [problem]


def test_missing_pkg_resources_are_told_with_their_cure():
    (problem,) = find_problems(GOOD, has_pkg_resources=False)
    assert problem.startswith("pkg_resources is not installed")
    assert problem.endswith('Run: pip install "setuptools<82"')


def test_all_problems_are_told_torch_first():
    problems = find_problems({}, has_pkg_resources=False)
    assert [problem.split()[0] for problem in problems] == [
        "torch",
        "mmengine",
        "mmcv",
        "mmdet",
        "pkg_resources",
    ]


def test_this_environment_is_fit():
    check_environment()


def test_the_error_lists_every_problem(monkeypatch):
    monkeypatch.setattr(environment, "_installed_versions", lambda: {"torch": "1.9"})
    with pytest.raises(ImportError) as error:
        check_environment()
    message = str(error.value)
    assert message.startswith("mmdet_embedmask cannot run in this environment:\n  - torch 1.9 is")
    assert message.count("\n  - ") == 4


def test_a_source_checkout_without_metadata_is_found(monkeypatch, tmp_path):
    package = tmp_path / "plain_checkout"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('must not be imported')\n")
    (package / "version.py").write_text("__version__ = '3.3.0'\n")
    monkeypatch.syspath_prepend(tmp_path)
    requirement = environment.Requirement("plain_checkout", ("plain-checkout",), ">=3", "x")
    monkeypatch.setattr(environment, "REQUIREMENTS", (requirement,))

    assert environment._installed_versions() == {"plain-checkout": "3.3.0"}


def test_absent_packages_are_left_out(monkeypatch):
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(environment.metadata, "version", absent)
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    assert environment._installed_versions() == {}


def test_the_check_imports_nothing_heavy():
    code = (
        "import runpy, sys\n"
        "runpy.run_path(sys.argv[1])['check_environment']()\n"
        "print([m for m in ('torch', 'numpy', 'mmengine', 'mmcv', 'mmdet') if m in sys.modules])"
    )
    file = Path(environment.__file__)
    done = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
