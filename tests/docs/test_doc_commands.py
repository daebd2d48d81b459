"""What the documentation tells its readers to type and to open exists."""

import functools
import importlib.util
import re
import shlex
import sys

import pytest
from doc_pages import PAGES, ROOT, commands
from tool_module import load_tool

MIM_VERBS = {"train", "test", "run", "gridsearch", "search", "list", "download", "install"}
"""All are run by tests/packaging/test_install.py, but for `mim install`, which is pip's install
with OpenMMLab's index added."""

EVERY = [(page, command) for page in PAGES for command in commands(page)]
IDS = [f"{page.name}: {command[:60]}" for page, command in EVERY]


@functools.cache
def help_text(tool):
    """What a tool prints for --help, without starting another Python."""
    path = ROOT / "tools" / tool
    if path.name in ("train.py", "test.py"):
        folder = importlib.util.find_spec("mmdet").submodule_search_locations[0]
        path = type(path)(folder) / ".mim" / "tools" / path.name
        return path.read_text()
    module, printed = load_tool(tool.removesuffix(".py")), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(path), "--help"])
        patch.setattr(
            "argparse.ArgumentParser._print_message", lambda s, m, f=None: printed.append(m)
        )
        with pytest.raises(SystemExit):
            module.main(["--help"])
    return "".join(printed)


def words(command):
    return shlex.split(command.replace("...", ""))


@pytest.mark.parametrize("page, command", EVERY, ids=IDS)
def test_a_command_can_be_typed(page, command):
    program, *rest = words(command)
    if program == "python" or program.startswith("tools/"):
        tool = rest[0].removeprefix("tools/") if program == "python" else program[len("tools/") :]
        assert (ROOT / "tools" / tool).is_file()
        if tool.endswith(".py"):
            options = [word.split("=")[0] for word in rest if word.startswith("--")]
            for option in options:
                assert re.search(rf"{option}\b", help_text(tool)), f"{tool} has no {option}"
    elif program == "bash":
        assert (ROOT / rest[0]).is_file()
    elif program == "make":
        makefile = (ROOT / "Makefile").read_text()
        targets = [word for word in rest if "=" not in word]
        assert targets and all(f"\n{target}:" in makefile for target in targets)
        for setting in (word.split("=")[0] for word in rest if "=" in word):
            assert f"\n{setting} ?=" in makefile
    elif program == "mim":
        assert rest[0] in MIM_VERBS
    else:
        assert program in ("pip", ".venv/bin/pip", "python3", "mmdet_embedmask")
    for word in rest:
        if word.startswith("configs/") and not re.search("mine|CONFIG", word):
            assert (ROOT / word).is_file() or (ROOT / word).is_dir(), word
        elif re.fullmatch(r"embedmask_\S+\.py", word):
            assert len(list((ROOT / "configs").rglob(word))) == 1, word
        elif match := re.search(r"\[([\w,]+)\]$", word):
            extras = (ROOT / "setup.py").read_text()
            assert all(f'"{extra}": [' in extras for extra in match[1].split(","))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target) if target else page
        assert path.exists(), link
        if anchor:
            titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
            plain = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
            assert anchor in plain, link
