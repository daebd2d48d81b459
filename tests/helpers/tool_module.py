"""The commands of tools/ in this process: quicker than starting each in a new Python."""

import importlib.util
from pathlib import Path
from types import ModuleType

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def load_tool(name: str) -> ModuleType:
    """A tool's module, new each time, by its path below tools/ without ``.py``."""
    path = TOOLS / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"tool_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
