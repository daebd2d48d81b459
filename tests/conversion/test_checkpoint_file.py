"""What is read from a file, and what of it never is."""

import hashlib
import os
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from mmdet_embedmask.conversion.checkpoint_file import (
    check_output,
    named_tensors,
    read_checkpoint,
    released_weights,
    write_checkpoint,
)
from mmdet_embedmask.conversion.errors import ConversionError, listed


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_whole_checkpoint_of_a_training_program_is_read(tmp_path, zipped):
    path = tmp_path / "model_final.pth"
    weights = OrderedDict({"module.a.weight": torch.rand(2, 3), "module.b": torch.rand(1)})
    network = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(torch.ones(1)).backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [60000, 80000])
    torch.save(
        dict(
            model=weights,
            optimizer=optimizer.state_dict(),
            scheduler=scheduler.state_dict(),
            iteration=np.int64(90000),
            best=np.float64(34.8),
        ),
        path,
        _use_new_zipfile_serialization=zipped,
    )
    checkpoint, digest = read_checkpoint(path)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoint["iteration"] == 90000 and checkpoint["best"] == 34.8
    read = released_weights(checkpoint)
    assert list(read) == ["a.weight", "b"]
    assert torch.equal(read["a.weight"], weights["module.a.weight"])


def test_weights_may_lie_bare_and_without_a_prefix():
    weights = dict(a=torch.rand(1), b=torch.rand(1))
    assert released_weights(weights) == weights
    assert released_weights(dict(model=weights)) == weights
    assert released_weights(dict(state_dict=weights, meta={})) == weights


def test_a_prefix_goes_at_the_beginning_alone():
    weights = {"module.a.module.b": torch.rand(1)}
    assert released_weights(weights) == {"a.module.b": weights["module.a.module.b"]}


def test_a_prefix_of_some_names_alone_stays():
    weights = {"module.a": torch.rand(1), "b": torch.rand(1)}
    assert released_weights(weights) == weights


def truncated(path):
    torch.save(dict(model=dict(a=torch.rand(1000))), path)
    path.write_bytes(path.read_bytes()[:2000])


def truncated_legacy(path):
    torch.save(dict(model=dict(a=torch.rand(1000))), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:500])


def other_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing")


@pytest.mark.parametrize(
    "write",
    [
        truncated,
        truncated_legacy,
        other_zip,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("hello, this is a text\n" * 100),
        lambda path: path.write_text("<!DOCTYPE html><html>not found</html>"),
        lambda path: path.write_bytes(b"PK\x03\x04 and nothing"),
        lambda path: path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(100)),
    ],
    ids=["truncated", "truncated_legacy", "zip", "empty", "text", "html", "zip_head", "jpeg"],
)
def test_a_file_that_is_no_checkpoint_is_told(tmp_path, write):
    path = tmp_path / "broken.pth"
    write(path)
    with pytest.raises(ConversionError, match=r"broken\.pth is no checkpoint .*download it") as e:
        read_checkpoint(path)
    assert "weights_only" not in str(e.value) and "\n" not in str(e.value)


class RunsCommand:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_foreign_code_is_named_and_not_run(tmp_path, zipped):
    path, marker = tmp_path / "evil.pth", tmp_path / "marker"
    torch.save(
        dict(model=dict(a=torch.rand(1)), hook=RunsCommand(marker)),
        path,
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(ConversionError, match=r"evil\.pth asks for \w+\.system, .*was refused"):
        read_checkpoint(path)
    assert not marker.exists()


class ForeignClass:
    pass


def test_a_foreign_class_is_named(tmp_path):
    torch.save(dict(model={}, cfg=ForeignClass()), tmp_path / "cfg.pth")
    with pytest.raises(ConversionError, match=r"asks for .*ForeignClass, which is code"):
        read_checkpoint(tmp_path / "cfg.pth")


def test_an_array_of_objects_is_refused_in_our_words(tmp_path):
    torch.save(dict(model={}, x=np.array([None], dtype=object)), tmp_path / "objects.pth")
    with pytest.raises(ConversionError, match=r"objects\.pth is refused\. .*Only plain numbers"):
        read_checkpoint(tmp_path / "objects.pth")


def test_a_list_is_no_checkpoint(tmp_path):
    torch.save([torch.rand(1)], tmp_path / "list.pth")
    with pytest.raises(ConversionError, match="holds list, not the dictionary"):
        read_checkpoint(tmp_path / "list.pth")


@pytest.mark.parametrize(
    "weights, message",
    [
        ({}, "no weights by name"),
        ([torch.rand(1)], "no weights by name"),
        (dict(a=torch.rand(1), b=3), r"no tensors: b \(1\)"),
        ({1: torch.rand(1)}, r"no tensors: 1 \(1\)"),
    ],
)
def test_anything_but_named_tensors_is_refused(weights, message):
    with pytest.raises(ConversionError, match=message):
        named_tensors(weights)


def test_the_safe_loader_reads_what_is_written(tmp_path):
    path = tmp_path / "folder" / "out.pth"
    write_checkpoint(path, dict(state_dict=dict(a=torch.ones(2)), meta=dict(cfg="x = 1")))
    loaded = torch.load(path, weights_only=True)
    assert loaded["meta"] == dict(cfg="x = 1") and torch.equal(
        loaded["state_dict"]["a"], torch.ones(2)
    )
    assert [file.name for file in path.parent.iterdir()] == ["out.pth"]


def test_nothing_is_lost_by_the_output(tmp_path):
    source, out = tmp_path / "a.pth", tmp_path / "b.pth"
    with pytest.raises(ConversionError, match=r"a\.pth is not a file"):
        check_output(source, out, force=False)
    source.touch()
    check_output(source, out, force=False)
    with pytest.raises(ConversionError, match="is a folder"):
        check_output(source, tmp_path, force=True)
    link = tmp_path / "link.pth"
    link.symlink_to(source)
    (tmp_path / "folder").mkdir()
    for same in (source, link, tmp_path / "folder" / ".." / "a.pth"):
        with pytest.raises(ConversionError, match="is the file to convert"):
            check_output(source, same, force=True)
    out.touch()
    with pytest.raises(ConversionError, match=r"b\.pth exists: give --force"):
        check_output(source, out, force=False)
    check_output(source, out, force=True)


def test_long_lists_are_counted():
    assert listed(["a", "b"]) == "a, b (2)"
    assert listed("abcdefg") == "a, b, c, d, e, ... (7 in all)"
