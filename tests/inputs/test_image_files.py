import os

import pytest

from mmdet_embedmask.inputs.image_files import expand_inputs


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "b.png",
        "a.JPG",
        "notes.txt",
        "sub/a.JPG",
        "sub/deep/c.tif",
        "x[1].png",
        "x1.png",
    ):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return tmp_path


def names(*inputs, **options):
    return [path.as_posix() for path in expand_inputs(inputs, **options)]


def test_a_folder_gives_its_images_by_name(tree):
    assert names("in") == ["in/a.JPG", "in/b.png", "in/x1.png", "in/x[1].png"]


def test_folders_inside_folders_are_searched_only_if_asked_for(tree):
    assert names("in", recursive=True) == [
        *("in/a.JPG", "in/b.png", "in/sub/a.JPG", "in/sub/deep/c.tif", "in/x1.png", "in/x[1].png"),
    ]


def test_a_pattern_gives_the_files_that_match_it(tree):
    assert names("in/*.png") == ["in/b.png", "in/x1.png", "in/x[1].png"]
    assert names("in/**/*.JPG") == ["in/a.JPG", "in/sub/a.JPG"]
    # The folder in/sub matches too.
    assert names("in/*b*") == ["in/b.png"]
    assert names("in/x[1].png") == ["in/x[1].png"]  # a file, not the pattern of x1.png


def test_a_named_file_is_taken_whatever_its_suffix(tree):
    assert names("in/notes.txt", "in/b.png") == ["in/notes.txt", "in/b.png"]


def test_every_file_comes_once_in_the_order_of_the_inputs(tree):
    assert names("in/x1.png", "in", os.path.abspath("in/b.png"))[:3] == [
        "in/x1.png",
        "in/a.JPG",
        "in/b.png",
    ]
    assert len(names("in/x1.png", "in", os.path.abspath("in/b.png"))) == 4


def test_earlier_output_inside_an_input_is_left_out(tree):
    assert names("in", recursive=True, exclude=tree / "in" / "sub") == names("in")
    # Unless it is named.
    assert names("in/sub/a.JPG", exclude=tree / "in" / "sub") == ["in/sub/a.JPG"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gone.png", "gone.png: no such file or folder"),
        ("in/*.gif", r"in/\*.gif: no such file or folder, and no file matches"),
        ("empty", "empty: the folder holds no file that ends in .bmp, .*--recursive also"),
    ],
)
def test_an_input_without_files_is_named(tree, text, message):
    (tree / "empty").mkdir()
    with pytest.raises(ValueError, match=message):
        names("in", text)
