"""Packaging: wheel, sdist and editable install, each with the files that MIM looks for.

MIM finds tools, configs and model-index.yml of an installed package under ``<package>/.mim``. They
live at the top level of the repository, so building a wheel or sdist copies them there and an
editable install links them.
"""

import os
import re
import shutil
import sys
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
PACKAGE = "mmdet_embedmask"
MIM_FILES = ("tools", "configs", "model-index.yml")
# pip asks for editable_wheel; `setup.py develop` is the old way.
EDITABLE_COMMANDS = {"develop", "editable_wheel"}
BUILD_COMMANDS = {"sdist", "bdist_wheel"}


def read_version() -> str:
    """Version of the package, read without importing it (it needs torch)."""
    text = (ROOT / PACKAGE / "version.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if match is None:
        raise RuntimeError(f"{PACKAGE}/version.py has no __version__")
    return match.group(1)


def add_mim_files(link: bool) -> None:
    """Put MIM's files below the package, in place of what an earlier install left there.

    Args:
        link: relative links instead of copies.
    """
    target = ROOT / PACKAGE / ".mim"
    if not (ROOT / MIM_FILES[0]).exists():
        return  # an unpacked sdist: it brings .mim, and not the folders that it was made of
    if target.exists():
        shutil.rmtree(target)
    target.mkdir()
    for name in MIM_FILES:
        source = ROOT / name
        if not source.exists():
            continue
        if link:
            (target / name).symlink_to(os.path.relpath(source, target))
        elif source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target / name)


if EDITABLE_COMMANDS & set(sys.argv):
    add_mim_files(link=True)
elif BUILD_COMMANDS & set(sys.argv):
    add_mim_files(link=False)

# MMEngine needs pkg_resources, which setuptools has in versions below 82.
OPENMMLAB = ["mmengine==0.10.7", "mmdet==3.3.0", "setuptools<82"]

setup(
    name=PACKAGE,
    version=read_version(),
    description="EmbedMask: embedding coupling for instance segmentation, for MMDetection 3.x",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    url="https://arxiv.org/abs/1912.01954",
    python_requires=">=3.10",
    packages=find_packages(
        exclude=("configs", "configs.*", "tools", "tools.*", "tests", "tests.*")
    ),
    include_package_data=True,
    zip_safe=False,
    # Neither torch nor MMCV nor MMDetection: which build fits is the user's choice, and importing
    # the package says what is missing and how to install it.
    install_requires=["numpy", "packaging", "pycocotools", "tqdm"],
    extras_require={
        "lite": ["mmcv-lite==2.1.0", *OPENMMLAB],
        "full": ["mmcv==2.1.0", *OPENMMLAB],
        # Read by `mim install`, which looks for a prebuilt MMCV in OpenMMLab's own index.
        "mim": [
            "mmcv>=2.0.0rc4,<2.2.0",
            "mmengine>=0.10.0,<1.0",
            "mmdet>=3.3.0,<3.4.0",
            "setuptools<82",
        ],
        # The maintained forks: same import names, so never beside the originals.
        "onedl": ["onedl-mmcv>=2.3", "onedl-mmengine>=0.10.12", "onedl-mmdetection>=3.5"],
        # Export to ONNX, and running what was exported.
        "optional": ["onnx>=1.17", "onnxscript>=0.5", "onnxruntime>=1.20"],
        "tests": [
            "pytest>=8",
            "pytest-xdist>=3",
            "hypothesis>=6",
            "ruff==0.17.6",
            "mypy==2.4.1",
            "bandit>=1.9",
            "build>=1",
        ],
    },
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
    ],
)
