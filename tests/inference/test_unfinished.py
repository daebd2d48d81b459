import re

import pytest

from mmdet_embedmask.inference.unfinished import named_when_finished


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_name_comes_with_the_end(tmp_path):
    (tmp_path / "a.mp4").write_text("old")
    with named_when_finished(tmp_path / "a.mp4") as temporary:
        temporary.write_text("new")
        assert contents(tmp_path) == {"a.mp4": "old", temporary.name: "new"}
    assert contents(tmp_path) == {"a.mp4": "new"}


def test_ctrl_c_is_an_end(tmp_path):
    with pytest.raises(KeyboardInterrupt), named_when_finished(tmp_path / "a.mp4") as temporary:
        temporary.write_text("so far")
        raise KeyboardInterrupt
    assert contents(tmp_path) == {"a.mp4": "so far"}
    with pytest.raises(KeyboardInterrupt), named_when_finished(tmp_path / "b.mp4"):
        raise KeyboardInterrupt
    assert contents(tmp_path) == {"a.mp4": "so far"}


def test_after_an_error_it_keeps_its_temporary_name(tmp_path):
    with pytest.raises(OSError), named_when_finished(tmp_path / "a.mp4") as temporary:
        temporary.write_text("half")
        raise OSError
    assert contents(tmp_path) == {temporary.name: "half"}


def test_temporary_names_are_recognised_and_nobody_elses(tmp_path):
    names = set()
    for _ in range(3):
        # A file that an earlier run left, and the user may have taken as a source.
        with pytest.raises(OSError), named_when_finished(tmp_path / "a.b.mp4") as temporary:
            temporary.write_text("half")
            raise OSError
        assert re.fullmatch(r"a\.b\.unfinished-[0-9a-f]{8}\.mp4", temporary.name)
        names.add(temporary.name)
    assert contents(tmp_path) == dict.fromkeys(names, "half") and len(names) == 3
