"""Nothing of ours runs text as a program or unpickles what it should not."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("mmdet_embedmask", "tools", "configs", "setup.py")
FILES = [
    path
    for place in PLACES
    for path in ([ROOT / place] if place.endswith(".py") else (ROOT / place).rglob("*.py"))
    if ".mim" not in path.parts
]
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
CALLS |= {f"yaml.{name}" for name in ("load", "load_all", "full_load", "unsafe_load")}
MODULES = {"pickle", "cPickle", "_pickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}


def findings(source):
    """What a source text does that it must not."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            unsafe = [k for k in node.keywords if k.arg in ("weights_only", "shell")]
            values = {(k.arg, ast.unparse(k.value)) for k in unsafe}
            wrong = values & {("weights_only", "False"), ("shell", "True")}
            if name in CALLS or wrong:
                found.append(ast.unparse(node))
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        found += [name for name in names if name.split(".")[0] in MODULES]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_no_eval_exec_pickle_or_unsafe_yaml(path):
    assert findings(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "exec(text)",
        "import pickle",
        "from pickle import loads",
        "yaml.load(text)",
        "torch.load(path, weights_only=False)",
        "subprocess.run('ls', shell=True)",
    ],
)
def test_the_scan_sees_what_it_looks_for(source):
    assert len(findings(source)) == 1


def test_the_scan_lets_methods_of_these_names_pass():
    assert findings("model.eval(); re.compile('a'); yaml.safe_load(text)") == []


def test_bandit_finds_nothing():
    pytest.importorskip("bandit")
    command = [sys.executable, "-m", "bandit", "-q", "-r", "mmdet_embedmask", "tools", "setup.py"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
