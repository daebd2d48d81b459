"""A check at import that says what to install.

Torch, MMCV and MMDetection are not in ``install_requires``, because they have builds that only the
user can choose: CPU or CUDA, compiled or not, the originals or the maintained ``onedl-*`` forks.
This module tells what is missing. It reads the metadata of what is installed and imports none of
it, so that it works where even torch is absent.
"""

import re
import runpy
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from packaging.specifiers import SpecifierSet


@dataclass(frozen=True)
class Requirement:
    """One package that must be there before the rest of this one can be imported.

    Args:
        module: The name under which it is imported.
        distributions: The names under which it is installed; the first one found is checked.
        versions: The versions wanted of those.
        install: What to hand to ``pip install``.
        fork: A distribution with the same import name but its own version numbers, taken as it is.
    """

    module: str
    distributions: tuple[str, ...]
    versions: str
    install: str
    fork: str | None = None

    @property
    def installs(self) -> str:
        """The bare name of the distribution that ``install`` brings."""
        return re.split(r"[<>=]", self.install)[0]


# In the order in which to install: MMCV and MMEngine look for torch.
REQUIREMENTS = (
    Requirement("torch", ("torch",), ">=2.0", "torch>=2.0"),
    Requirement(
        "mmengine",
        ("mmengine", "mmengine-lite"),
        ">=0.10.0,<1.0",
        "mmengine>=0.10.0,<1.0",
        "onedl-mmengine",
    ),
    Requirement(
        "mmcv", ("mmcv", "mmcv-lite"), ">=2.0.0rc4,<2.2.0", "mmcv-lite==2.1.0", "onedl-mmcv"
    ),
    Requirement("mmdet", ("mmdet",), ">=3.3.0,<3.4.0", "mmdet>=3.3.0,<3.4.0", "onedl-mmdetection"),
)


def check_environment() -> None:
    """Raise if a package that this one builds on is missing or has an unfit version.

    Raises:
        ImportError: With every problem and the command that cures it, in the order to run them.
    """
    problems = find_problems(_installed_versions(), find_spec("pkg_resources") is not None)
    if problems:
        raise ImportError(
            "mmdet_embedmask cannot run in this environment:\n"
            + "\n".join(f"  - {problem}" for problem in problems)
        )


def find_problems(installed: Mapping[str, str], has_pkg_resources: bool) -> list[str]:
    """Compare what is installed with what is wanted.

    Args:
        installed: Version of each installed distribution, by its name in lower case with dashes.
        has_pkg_resources: Whether ``import pkg_resources`` would find something.

    Returns:
        One sentence a problem, each with its cure, in the order in which to cure them.
    """
    problems = []
    for requirement in REQUIREMENTS:
        if requirement.fork not in installed:
            problems += _version_problems(requirement, installed)
    # MMEngine finds the configs of `mmdet::...` through pkg_resources; the fork does without.
    if not has_pkg_resources and "onedl-mmengine" not in installed:
        problems.append(
            "pkg_resources is not installed, and MMEngine needs it for `mmdet::` configs: "
            'setuptools has it in versions below 82. Run: pip install "setuptools<82"'
        )
    return problems


def _version_problems(requirement: Requirement, installed: Mapping[str, str]) -> list[str]:
    wanted = f"wanted {requirement.module} {requirement.versions}"
    cure = f'pip install "{requirement.install}"'
    name = next((name for name in requirement.distributions if name in installed), None)
    if name is None:
        names = " or ".join(requirement.distributions)
        return [f"{names} is not installed ({wanted}). Run: {cure}"]
    # A pre-release is as good as any other version here: MMCV itself starts its range with one.
    if SpecifierSet(requirement.versions).contains(installed[name], prereleases=True):
        return []
    if name != requirement.installs:
        # mmcv and mmcv-lite write into the same folder: one has to go before the other comes.
        cure = f"pip uninstall -y {name} && {cure}"
    return [f"{name} {installed[name]} is installed ({wanted}). Run: {cure}"]


def _installed_versions() -> dict[str, str]:
    versions = {}
    for requirement in REQUIREMENTS:
        names = [*requirement.distributions, *filter(None, [requirement.fork])]
        found = {name: version for name in names if (version := _metadata_version(name))}
        if not found and (version := _source_version(requirement.module)):
            found = {requirement.distributions[0]: version}
        versions.update(found)
    return versions


def _metadata_version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _source_version(module: str) -> str | None:
    """Read the version of a source checkout that is only on the path, without importing it."""
    spec = find_spec(module)
    for folder in (spec and spec.submodule_search_locations) or ():
        file = Path(folder) / "version.py"
        if file.is_file():
            return str(runpy.run_path(str(file)).get("__version__"))
    return None
