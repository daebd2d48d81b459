import json
from pathlib import Path

import pytest

from mmdet_embedmask.files import picture_name, write_json


def test_json_is_written_whole_into_a_new_folder(tmp_path):
    path = tmp_path / "new" / "times.json"
    write_json(path, {"median": 1.5})
    write_json(path, {"median": 2.5})
    assert json.loads(path.read_text()) == {"median": 2.5}
    assert [p.name for p in path.parent.iterdir()] == ["times.json"]


def test_what_json_cannot_hold_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "times.json"
    write_json(path, [1])
    with pytest.raises(TypeError):
        write_json(path, object())
    assert json.loads(path.read_text()) == [1]


def test_picture_names_are_unique_and_say_which_image_it_is():
    assert picture_name(7, Path("folder/cat.tiff")) == "00007_cat.png"
