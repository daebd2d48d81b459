from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from mmdet_embedmask.release.model_zoo import (
    coco_metrics,
    metafile_entry,
    read_models,
    zoo_page,
    zoo_rows,
)
from mmdet_embedmask.version import __version__

ROOT = Path(__file__).resolve().parents[2]
METAFILE = ROOT / "configs" / "embedmask" / "metafile.yml"
MODELS = read_models(METAFILE)


def test_the_model_index_names_the_metafile():
    # MIM skips a file that it does not find without a word.
    index = yaml.safe_load((ROOT / "model-index.yml").read_text())
    assert [ROOT / path for path in index["Import"]] == [METAFILE]


def test_the_collection_is_this_package():
    (collection,) = yaml.safe_load(METAFILE.read_text())["Collections"]
    assert collection["Code"]["Version"] == f"v{__version__}"
    assert (ROOT / collection["README"]).is_file()
    assert {model["In Collection"] for model in MODELS} == {collection["Name"]}


def test_every_config_has_its_row_and_every_row_its_config():
    folders = ("_base_", "peers")
    configs = METAFILE.parent.rglob("*.py")
    expected = {path.stem for path in configs if path.parent.name not in folders}
    names = [model["Name"] for model in MODELS]
    assert len(names) == len(set(names)) and set(names) == expected


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model["Name"])
def test_a_row_says_what_its_config_says(model):
    path = ROOT / model["Config"]
    # MIM looks for names in lower case, and takes the name for the file's.
    assert path.is_file() and path.stem == model["Name"] == model["Name"].lower()
    config, data = Config.fromfile(path), model["Metadata"]
    backbone = config.model.backbone
    depth = f"-{backbone.depth}" if "depth" in backbone else ""
    assert data["Backbone"] == f"{backbone.type}{depth}"
    assert data["Style"] == backbone.get("style", "-")
    if "max_epochs" in config.train_cfg:
        assert data["Epochs"] == (epochs := config.train_cfg.max_epochs)
        schedule = f"{epochs} epochs"
    else:
        assert data["Iterations"] == (iterations := config.train_cfg.max_iters)
        schedule = {90000: "1x", 270000: "3x"}.get(iterations, f"{iterations} iterations")
    assert data["Schedule"].split(",")[0] == schedule
    assert ("multi-scale" in data["Schedule"]) == ("_ms-" in model["Name"])
    # Nobody shall take the paper's figures for ours.
    assert ("Results" in model) == ("Source of Results" in data)
    assert data.get("Source of Results", "paper").startswith(("paper", "this project"))


def test_the_page_holds_the_metafiles_figures():
    """Read back from the page, which a tool has made."""
    page = (METAFILE.parent / "README.md").read_text()
    rows = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| [embedmask"):
            name = cells[0].split("]")[0].strip("[")
            link = cells[0].split("(")[1].rstrip(")")
            assert (METAFILE.parent / link).stem == name
            rows[name, cells[8]] = cells[6], cells[7], cells[9]
    figures = 0
    for model in MODELS:
        for result in model.get("Results", []):
            box, mask, source = rows[model["Name"], result["Dataset"]]
            assert source == model["Metadata"]["Source of Results"]
            metrics = list(map(str, result["Metrics"].values()))
            assert " / ".join(metrics) == (box if "Detection" in result["Task"] else mask)
            figures += len(metrics)
    assert figures > 40


def test_an_entry_becomes_a_row():
    figures = {"coco/bbox_mAP": 0.5771, "coco/segm_mAP": 0.66, "coco/segm_mAP_50": 0.836}
    metrics = coco_metrics(figures | {"coco/segm_mAP_l": -1.0})
    assert metrics == {"box AP": 57.7, "mask AP": 66.0, "mask AP50": 83.6}
    entry = metafile_entry(
        "Net",
        "a/net.py",
        metadata={"Backbone": "ResNet-18"},
        dataset="nuclei",
        metrics=metrics,
        weights="http://x/net-1.pth",
    )
    assert entry["Name"] == "net"
    assert [r["Task"] for r in entry["Results"]] == ["Object Detection", "Instance Segmentation"]
    assert zoo_rows(entry, "a/") == [
        [
            *["[net](net.py)", "ResNet-18", "-", "-", "-", "-"],
            *["57.7", "66.0 / 83.6", "nuclei", "-"],
            "[model](http://x/net-1.pth) | [log](http://x/net-1.log.json)",
        ]
    ]


def test_a_model_without_figures_has_a_row_of_dashes():
    entry = metafile_entry("net", "net.py", metadata={}, dataset="nuclei", metrics={})
    (row,) = zoo_rows(entry)
    assert row == ["[net](net.py)", *["-"] * 10]


def test_a_model_without_a_training_log_links_none():
    entry = metafile_entry(
        "net",
        "net.py",
        metadata={"Training Log": "none"},
        dataset="nuclei",
        metrics={},
        weights="http://x/n.pth",
    )
    assert zoo_rows(entry)[0][-1] == "[model](http://x/n.pth) | no log"


def page_of(*configs, data="COCO"):
    metadata = {"Training Data": data}
    models = [
        metafile_entry(Path(c).stem, c, metadata=metadata, dataset="any", metrics={})
        for c in configs
    ]
    lines = zoo_page(models, "configs/embedmask/").splitlines()
    return [line.split(")")[0] for line in lines if line.startswith(("## ", "| ["))]


def test_a_folder_of_configs_has_a_section_of_its_own():
    folders = ("", "atss/", "lvis/", "lvis/long/", "atss/", "lvis/")
    assert page_of(*(f"configs/embedmask/{f}net{i}.py" for i, f in enumerate(folders))) == [
        *["## Tables 1 and 2", "| [net0](net0.py"],
        *["## On ATSS", "| [net1](atss/net1.py", "| [net4](atss/net4.py"],
        *["## lvis", "| [net2](lvis/net2.py", "| [net5](lvis/net5.py"],
        *["## lvis/long", "| [net3](lvis/long/net3.py"],
    ]


def test_small_data_has_a_section_whatever_the_folder():
    configs = ("configs/embedmask/new/a.py", "configs/embedmask/b.py")
    assert page_of(*configs, data="nuclei") == [
        *["## Small data, from scratch", "| [a](new/a.py", "| [b](b.py"],
    ]


@pytest.mark.parametrize(
    "config",
    [
        *("/home/me/configs/embedmask/a.py", "./configs/embedmask/a.py", "configs/a.py", "a.py"),
        *("configs/embedmask/../a.py", "configs/embedmask2/a.py"),
    ],
)
def test_a_config_that_the_page_cannot_link_is_refused(config):
    metadata = {"Training Data": "COCO"}
    models = [metafile_entry("a", config, metadata=metadata, dataset="any", metrics={})]
    with pytest.raises(ValueError, match="metafile: the config of a, .*write its path from the re"):
        zoo_page(models, "configs/embedmask/")
