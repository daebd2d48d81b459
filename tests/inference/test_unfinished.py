import pytest

from mmdet_embedmask.inference.unfinished import named_when_finished


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_name_comes_with_the_end(tmp_path):
    (tmp_path / "a.mp4").write_text("old")
    with named_when_finished(tmp_path / "a.mp4") as temporary:
        temporary.write_text("new")
        assert contents(tmp_path) == {"a.mp4": "old", "a.unfinished.mp4": "new"}
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
    assert contents(tmp_path) == {"a.unfinished.mp4": "half"}
