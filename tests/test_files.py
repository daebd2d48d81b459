import json
import os
import stat
from pathlib import Path

import pytest

from mmdet_embedmask import files
from mmdet_embedmask.files import picture_name, write_bytes, write_json


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


def test_content_and_name_are_on_the_disk_before_writing_ends(tmp_path, monkeypatch):
    events, fsync, replace = [], os.fsync, os.replace

    def synced(descriptor):
        fsync(descriptor)
        found = os.fstat(descriptor)
        events.append("folder" if stat.S_ISDIR(found.st_mode) else found.st_size)

    def moved(source, target):
        replace(source, target)
        events.append(Path(target).name)

    monkeypatch.setattr(files.os, "fsync", synced)
    monkeypatch.setattr(files.os, "replace", moved)
    write_bytes(tmp_path / "a.bin", b"12345")
    assert events == [5, "a.bin", "folder"]


def test_two_writers_of_one_file_do_not_meet(tmp_path, monkeypatch):
    path, replace = tmp_path / "a.bin", os.replace

    def other_comes_first(source, target):
        monkeypatch.setattr(files.os, "replace", replace)
        write_bytes(path, b"other")
        assert path.read_bytes() == b"other"
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", other_comes_first)
    write_bytes(path, b"own")
    assert path.read_bytes() == b"own"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_while_writing_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError("No space left on device")

    path = tmp_path / "a.bin"
    write_bytes(path, b"old")
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_picture_names_are_unique_and_say_which_image_it_is():
    assert picture_name(7, Path("folder/cat.tiff")) == "00007_cat.png"
