"""A config's first lines say how it is run, what that costs and what it reaches."""

import re
import shlex
from pathlib import Path

import pytest

from mmdet_embedmask.release.model_zoo import read_models

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs" / "embedmask"
MODELS = {ROOT / model["Config"]: model for model in read_models(CONFIGS / "metafile.yml")}
BASES = sorted((CONFIGS / "_base_").glob("*.py"))
RUN = sorted(set(CONFIGS.rglob("*.py")) - set(BASES))
NOT_MEASURED = "not measured here"
PAGE = re.compile(r"\S+\.md")
FIGURE = re.compile(r"\d+\.\d+")


def header(path: Path) -> str:
    """The comment lines that a file begins with."""
    return re.match(r"(#.*\n)*", path.read_text(encoding="utf-8"))[0]


def field(path: Path, label: str) -> str:
    """What stands behind a label of the header, with its further lines, as one line."""
    found = re.findall(rf"^# {label}: +(.+\n(?:#   .+\n)*)", header(path), re.M)
    assert len(found) == 1, f"{label}: stands {len(found)} times in {path.name}"
    return " ".join(re.sub(r"\\?\n#?", " ", found[0]).split())


def by_name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", RUN, ids=by_name)
def test_a_config_says_what_it_is_and_the_command_that_runs_it(path):
    assert re.match(r"# (?!Run:)\w", header(path))
    program, tool, config, *rest = shlex.split(field(path, "Run"))
    assert ROOT / config == path and (ROOT / tool).is_file()
    if path.parent.name == "released":
        expected = ["python", "tools/test.py"], ["OURS.pth"]
    elif "_coco" in path.stem:  # the paper's recipe is for 8 GPUs
        expected = ["bash", "tools/dist_train.sh"], ["8"]
    else:
        expected = ["python", "tools/train.py"], []
    assert ([program, tool], rest) == expected


@pytest.mark.parametrize("path", MODELS, ids=by_name)
def test_a_config_reaches_the_figures_of_its_entry_in_the_metafile(path):
    results: dict[str, list[str]] = {}
    for result in MODELS[path].get("Results", []):
        (name, value), *_ = result["Metrics"].items()
        results.setdefault(result["Dataset"], []).insert(0, f"{value} {name}")
    reached = [f"{' and '.join(figures)} on {data}" for data, figures in results.items()]
    source = MODELS[path]["Metadata"].get("Source of Results", "")
    if source.startswith("paper"):
        assert field(path, "Reaches") == f"{', '.join(reached)} (the paper's)"
        for table in re.findall(r"Table \d", source):
            assert table in header(path)
    elif source:
        whose = source.replace("this project", "ours")
        assert field(path, "Reaches").startswith(f"{', '.join(reached)} ({whose}")
        assert PAGE.search(field(path, "Reaches"))
    else:
        assert field(path, "Reaches") == NOT_MEASURED


@pytest.mark.parametrize("path", RUN, ids=by_name)
def test_figures_of_ours_stand_in_one_line_of_the_page_that_the_header_names(path):
    figures: dict[str, set[str]] = {}
    for text in (field(path, "Costs"), field(path, "Reaches")):
        if pages := PAGE.findall(text):
            (page,) = pages
            figures.setdefault(page.strip("()"), set()).update(FIGURE.findall(text))
        else:
            assert NOT_MEASURED in text or text.endswith("(the paper's)")
    for page, expected in figures.items():
        lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
        assert any(expected <= set(FIGURE.findall(line)) for line in lines), (page, expected)


@pytest.mark.parametrize("path", BASES, ids=by_name)
def test_a_base_names_the_configs_that_are_built_on_it(path):
    assert "Run:" not in header(path)
    texts = {config.stem: config.read_text(encoding="utf-8") for config in [*RUN, *BASES]}
    users = {stem for stem, text in texts.items() if f'/{path.name}"' in text}
    assert set(field(path, "Used by").split(", ")) == users


@pytest.mark.parametrize("path", [*RUN, *BASES], ids=by_name)
def test_lines_of_a_header_are_short(path):
    assert max(map(len, header(path).splitlines())) < 100
