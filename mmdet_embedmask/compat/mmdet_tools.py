"""MMDetection's own tools, run after this package has been imported.

``mmdet/tools/test.py`` imports MMCV's ops before it reads the config, so that a config's
``custom_imports`` come too late for the stand-in of :mod:`mmdet_embedmask.compat.mmcv_ops`. A tool
here imports this package first and then runs theirs.
"""

import runpy
from importlib.util import find_spec
from pathlib import Path


def run_mmdet_tool(name: str) -> None:
    """Run one of MMDetection's tools as the main program, with the arguments of this one.

    Args:
        name: The tool's file name without ``.py``, for example ``"train"``.

    Raises:
        FileNotFoundError: If the installed MMDetection has no such tool.
    """
    runpy.run_path(str(_find_tool(name)), run_name="__main__")


def _find_tool(name: str) -> Path:
    spec = find_spec("mmdet")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    # A wheel keeps the tools in .mim; a source checkout beside the package.
    candidates = [
        Path(folder) / place / f"{name}.py"
        for folder in folders
        for place in (".mim/tools", "../tools")
    ]
    for file in candidates:
        if file.is_file():
            return file
    looked_at = ", ".join(map(str, candidates)) or "nowhere, because mmdet is not installed"
    raise FileNotFoundError(
        f"MMDetection's tool {name}.py was not found (looked at: {looked_at}). The wheel of mmdet "
        "brings its tools in .mim/tools; reinstall it with: "
        'pip install --force-reinstall --no-deps "mmdet>=3.3.0,<3.4.0"'
    )
