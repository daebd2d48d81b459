import json
import os
import re
import stat
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdet_embedmask import files
from mmdet_embedmask.files import (
    JsonLines,
    file_identity,
    lines_to_json,
    named_when_finished,
    picture_name,
    whole_file,
    write_bytes,
    write_json,
    write_png,
)


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


@pytest.fixture
def events(monkeypatch):
    """What reaches the disk: sizes of files, and folders; and the names that files get."""
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
    return events


def test_content_and_name_are_on_the_disk_before_writing_ends(tmp_path, events):
    write_bytes(tmp_path / "a.bin", b"12345")
    assert events == [5, "a.bin", "folder"]


def test_pictures_are_not_waited_for(tmp_path, events):
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    write_png(tmp_path / "new" / "a.png", picture)
    assert events == ["a.png"]
    assert np.array_equal(cv2.imread(str(tmp_path / "new" / "a.png")), picture)


@pytest.mark.parametrize("function", ["open", "fsync"])
def test_where_folders_cannot_be_synced_the_file_is_there(tmp_path, monkeypatch, function):
    original = getattr(os, function)

    def refusing(target, *args):
        if os.path.isdir(target):
            raise OSError("not on this mount")
        return original(target, *args)

    monkeypatch.setattr(files.os, function, refusing)
    write_bytes(tmp_path / "a.bin", b"12345")
    assert (tmp_path / "a.bin").read_bytes() == b"12345"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_of_two_writers_of_one_file_the_last_wins(tmp_path, monkeypatch):
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


def test_a_file_has_its_name_once_it_is_written_whole(tmp_path):
    path = tmp_path / "new" / "a.bin"
    with whole_file(path) as file:
        file.write(b"12")
        file.write(b"345")
        assert not path.exists()
    assert path.read_bytes() == b"12345"
    with pytest.raises(KeyboardInterrupt), whole_file(path) as file:
        file.write(b"67")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"12345" and list(path.parent.iterdir()) == [path]


def test_ways_to_one_file_are_told_from_those_to_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new").mkdir()
    for name in ("a", "b"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "hard").hardlink_to("a")
    (tmp_path / "folder").symlink_to("new")
    (tmp_path / "loop").symlink_to("loop")
    ways = {"a": ["link", "hard", "new/../a", tmp_path / "a"], "new/gone": ["folder/gone"]}
    for name, others in ways.items():
        identity = file_identity(Path(name))
        assert {file_identity(Path(other)) for other in others} == {identity}
        assert identity not in {file_identity(Path(x)) for x in ("b", "gone", "loop", "new")}


def test_picture_names_are_unique_and_say_which_image_it_is():
    assert picture_name(7, Path("folder/cat.tiff")) == "00007_cat.png"


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_long_file_gets_its_name_when_it_is_finished(tmp_path):
    (tmp_path / "a.mp4").write_text("old")
    with named_when_finished(tmp_path / "a.mp4") as temporary:
        temporary.write_text("new")
        assert contents(tmp_path) == {"a.mp4": "old", temporary.name: "new"}
    assert contents(tmp_path) == {"a.mp4": "new"}


def test_ctrl_c_finishes_a_long_file(tmp_path):
    with pytest.raises(KeyboardInterrupt), named_when_finished(tmp_path / "a.mp4") as temporary:
        temporary.write_text("so far")
        raise KeyboardInterrupt
    assert contents(tmp_path) == {"a.mp4": "so far"}
    with pytest.raises(KeyboardInterrupt), named_when_finished(tmp_path / "b.mp4"):
        raise KeyboardInterrupt
    assert contents(tmp_path) == {"a.mp4": "so far"}


def test_after_an_error_a_long_file_keeps_its_temporary_name(tmp_path):
    with pytest.raises(OSError), named_when_finished(tmp_path / "a.mp4") as temporary:
        temporary.write_text("half")
        raise OSError
    assert contents(tmp_path) == {temporary.name: "half"}


def test_temporary_names_are_told_by_their_look_and_never_taken_twice(tmp_path):
    names = set()
    for _ in range(3):
        # A file that an earlier run left, and the user may have taken as a source.
        with pytest.raises(OSError), named_when_finished(tmp_path / "a.b.mp4") as temporary:
            temporary.write_text("half")
            raise OSError
        assert re.fullmatch(r"a\.b\.unfinished-[0-9a-f]{8}\.mp4", temporary.name)
        names.add(temporary.name)
    assert contents(tmp_path) == dict.fromkeys(names, "half") and len(names) == 3


def test_records_are_on_disk_as_soon_as_they_are_added(tmp_path):
    path = tmp_path / "new" / "a.jsonl"
    with JsonLines(path) as lines:
        for number in range(2):
            lines.add(dict(number=number, name="ä"))
            read = [json.loads(line) for line in path.read_text().splitlines()]
            assert read == [dict(number=i, name="ä") for i in range(number + 1)]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_lines_become_one_list(tmp_path, count):
    records = [dict(number=i) for i in range(count)]
    with JsonLines(tmp_path / "a.jsonl") as lines:
        for record in records:
            lines.add(record)
    lines_to_json(tmp_path / "a.jsonl", tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == records
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_lines_stay_until_the_list_has_its_name(tmp_path, monkeypatch):
    with JsonLines(tmp_path / "a.jsonl") as lines:
        lines.add(dict(number=1))

    def fail(*_):
        raise PermissionError("the list is open elsewhere")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(PermissionError):
        lines_to_json(tmp_path / "a.jsonl", tmp_path / "a.json")
    assert (tmp_path / "a.jsonl").read_text() == '{"number": 1}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
