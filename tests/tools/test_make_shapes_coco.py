import json

import pytest
from tool_module import load_tool


@pytest.fixture
def make_shapes():
    return lambda *arguments: load_tool("make_shapes_coco").main([str(a) for a in arguments])


def test_both_splits_are_written_and_told(make_shapes, tmp_path, capsys):
    out = tmp_path / "new" / "shapes"
    make_shapes(out, "--train", 5, "--val", 3, "--size", 64, 96, "--max-objects", 3)
    lines = capsys.readouterr().out.splitlines()
    for line, split, number in zip(lines, ("train", "val"), (5, 3), strict=True):
        path = out / "annotations" / f"instances_{split}.json"
        dataset = json.loads(path.read_text())
        crowds = sum(a["iscrowd"] for a in dataset["annotations"])
        objects = len(dataset["annotations"]) - crowds
        assert line == f"{path}: {number} images, {objects} objects, {crowds} crowds"
        assert len(dataset["images"]) == len(list((out / split).glob("*.png"))) == number
        assert {(i["height"], i["width"]) for i in dataset["images"]} == {(64, 96)}
    assert sorted(p.name for p in out.iterdir()) == ["annotations", "train", "val"]


def test_a_split_can_be_left_out(make_shapes, tmp_path):
    make_shapes(tmp_path, "--train", 0, "--val", 1, "--size", 32, 32)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["annotations", "val"]


def test_progress_is_shown_for_many_images_only(make_shapes, tmp_path, capsys):
    arguments = "--val", 0, "--size", 32, 32, "--min-objects", 1, "--max-objects", 1
    make_shapes(tmp_path, "--train", 2, *arguments)
    assert capsys.readouterr().err == ""
    make_shapes(tmp_path, "--train", 200, *arguments)
    assert "200/200" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--size", 8, 64), "8 x 64 pixels are too small"),
        (("--train", 0, "--val", 0), "asks for no images"),
        (("--train", -3), "asks for no images"),
        (("--empty-fraction", 2), "their sum not greater than 1"),
    ],
)
def test_bad_arguments_are_told_before_anything_is_written(
    make_shapes, tmp_path, capsys, arguments, message
):
    with pytest.raises(SystemExit) as exit_:
        make_shapes(tmp_path / "new", *arguments)
    assert message in f"{exit_.value} {capsys.readouterr().err}"
    assert not (tmp_path / "new").exists()


def test_a_file_in_the_folders_place_is_refused_and_stays(make_shapes, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SystemExit, match="is a file: name a folder"):
        make_shapes(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
