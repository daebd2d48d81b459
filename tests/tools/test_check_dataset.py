"""The command that checks a config's data, as a user runs it."""

import json
from pathlib import Path

import pytest
from runs import CONFIGS, make_shapes

ROOT = Path(__file__).resolve().parents[2]
CONFIG = str(CONFIGS / "embedmask_tiny_shapes.py")


@pytest.fixture
def check(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import check_dataset

    return check_dataset.main


@pytest.fixture
def options(tmp_path):
    """Shapes as training data, and in a wrapper and with a broken file as validation data."""
    root = make_shapes(tmp_path / "shapes", 3, size=64)
    (root / "broken.json").write_text("{")
    return [
        f"train_dataloader.dataset.data_root={root}",
        f"val_dataloader.dataset.data_root={root}",
        "val_dataloader.dataset.data_prefix.img=train/",
        "val_dataloader.dataset.ann_file=broken.json",
        "test_dataloader=None",
    ]


def test_all_data_sets_are_named_with_their_problems(check, options, capsys):
    assert check([CONFIG, "--cfg-options", *options]) == 1
    lines = capsys.readouterr().out.splitlines()
    train, val, problem = (line for line in lines if "data, " in line or "error" in line)
    assert train.startswith("train data, CocoDatasetByName (") and train.endswith("no problem")
    assert val.startswith("val data, CocoDatasetByName (") and "broken.json" in val
    assert problem.startswith("  error: the annotation file is not complete JSON")


def test_images_and_warnings(check, options, tmp_path, capsys):
    root = tmp_path / "shapes"
    path = root / "annotations" / "instances_train.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"][2] = 0
    path.write_text(json.dumps(content))
    options = [*options[:1], "val_dataloader=None", "test_dataloader=None"]
    arguments = [CONFIG, "--cfg-options", *options]
    assert check(arguments) == 0
    assert "  warning: smaller than one pixel" in capsys.readouterr().out
    (root / "train" / "000002.png").write_bytes(b"")
    assert check(arguments) == 1
    assert "  error: an image is empty" in capsys.readouterr().out
    assert check([arguments[0], "--no-images", *arguments[1:]]) == 0


def test_data_sets_inside_wrappers_and_shared_ones(check, options, tmp_path, capsys):
    config = tmp_path / "wrapped.py"
    root = tmp_path / "shapes"
    config.write_text(
        f"""
_base_ = {CONFIG!r}
part = dict(
    type="CocoDataset",
    data_root={str(root)!r},
    ann_file="annotations/instances_train.json",
    data_prefix=dict(img="train/"),
    metainfo=dict(classes=("ellipse", "polygon", "ring")),
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="RepeatDataset",
        times=2,
        dataset=dict(type="ConcatDataset", datasets=[part, part]),
    )
)
val_dataloader = dict(dataset=dict(_delete_=True, **part))
test_dataloader = dict(dataset=dict(_delete_=True, **part))
"""
    )
    assert check([str(config)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "data, " in line]
    assert [line.split()[0] for line in lines] == ["train", "val"]


def test_one_annotation_file_with_two_image_folders_is_two_data_sets(
    check, options, tmp_path, capsys
):
    (tmp_path / "shapes" / "other").mkdir()
    options = [
        *options[:2],
        "val_dataloader.dataset.data_prefix.img=train/",
        "val_dataloader.dataset.ann_file=annotations/instances_train.json",
        f"test_dataloader.dataset.data_root={tmp_path / 'shapes'}",
        "test_dataloader.dataset.data_prefix.img=other/",
        "test_dataloader.dataset.ann_file=annotations/instances_train.json",
    ]
    assert check([CONFIG, "--cfg-options", *options]) == 1
    output = capsys.readouterr().out
    assert [line.split()[0] for line in output.splitlines() if "data, " in line] == [
        "train",
        "val",
        "test",
    ]
    assert "error: an image is missing" in output and "other/000001.png" in output


def test_a_missing_config(check, capsys):
    with pytest.raises(SystemExit):
        check(["nothing.py"])
    assert "nothing.py is not a file" in capsys.readouterr().err
