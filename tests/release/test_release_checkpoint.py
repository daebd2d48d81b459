"""What of a training checkpoint is released."""

import threading
from collections import OrderedDict

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer

from mmdet_embedmask.compat.checkpoint import mmengine_content
from mmdet_embedmask.release.checkpoint import named_globals, release_checkpoint, release_config


def checkpoint(**meta):
    return dict(
        state_dict=OrderedDict(weight=torch.tensor([1.0, 2.0])),
        meta=dict(dataset_meta=dict(classes=("cell",)), **meta),
        optimizer=dict(state={}),
    )


def test_the_config_is_freed_of_its_run_and_the_callers_stays():
    run = dict(work_dir="run", load_from="x.pth", resume=True, launcher="pytorch", seed=3)
    config = Config(run)
    released = release_config(config)
    assert released.to_dict() == dict(load_from=None, resume=False, launcher="none", seed=3)
    assert config.to_dict() == run


def test_weights_classes_and_origin_alone_are_kept():
    content = checkpoint(
        iter=10, epoch=0, seed=1, time="20260101_000000", mmengine_version="0.10.7", hook_msgs={}
    )
    released = release_checkpoint(content, Config(dict(a=1)))
    assert list(released) == ["meta", "state_dict"]
    assert released["state_dict"]["weight"].tolist() == [1, 2]
    meta = released["meta"]
    assert meta.pop("cfg").splitlines()[0] == "a = 1" and meta.pop("mmdet_embedmask")
    assert meta == dict(
        dataset_meta=dict(classes=["cell"]),
        **dict(iter=10, epoch=0, seed=1, time="20260101_000000", mmengine_version="0.10.7"),
    )


def test_a_converted_checkpoint_keeps_what_it_comes_from():
    content = checkpoint(family="plain", source_sha256="ab" * 32, mmdet_embedmask_version="0.1.0")
    meta = release_checkpoint(content, Config())["meta"]
    assert sorted(meta) == ["cfg", "dataset_meta", "family", "mmdet_embedmask", "source_sha256"]
    assert (meta["family"], meta["source_sha256"]) == ("plain", "ab" * 32)


def test_modules_versions_stay_beside_their_weights():
    content = checkpoint()
    content["state_dict"]._metadata = {"": dict(version=2)}
    released = release_checkpoint(content, Config())["state_dict"]
    assert released._metadata == {"": dict(version=2)}


@pytest.mark.parametrize("meta", [{}, dict(dataset_meta={}), dict(dataset_meta=dict(palette=[1]))])
def test_classes_must_be_named(meta):
    with pytest.raises(ValueError, match="does not name its classes"):
        release_checkpoint(dict(state_dict={}, meta=meta), Config())


def test_weights_must_be_there():
    content = checkpoint()
    content["model"] = content.pop("state_dict")
    with pytest.raises(ValueError, match=r"holds \['meta', 'model', 'optimizer'\], but no state_d"):
        release_checkpoint(content, Config())


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(state_dict=dict(weight=[1.0])), r"state_dict\['weight'\] is list, not a tensor"),
        (
            dict(meta=dict(dataset_meta=dict(classes=("a", b"b")))),
            r"dataset_meta.classes\[1\] is bytes: only text and numbers can be released",
        ),
    ],
)
def test_what_a_safe_loader_refuses_is_not_released(change, message):
    with pytest.raises(TypeError, match=message):
        release_checkpoint(checkpoint() | change, Config())


class Note:
    """Harmless, but nothing that a user's torch knows."""


def test_what_this_process_allows_is_named_all_the_same_and_stays_allowed(tmp_path):
    torch.save(dict(note=Note(), log=HistoryBuffer([1.0], [1])), tmp_path / "log.pth")
    before = set(torch.serialization.get_safe_globals())
    with torch.serialization.safe_globals([Note]):
        names = named_globals(tmp_path / "log.pth")
        assert set(torch.serialization.get_safe_globals()) == before | {Note}
    assert {f"{Note.__module__}.Note", "mmengine.logging.history_buffer.HistoryBuffer"} < set(names)
    assert "numpy.ndarray" in names and names == sorted(names)


def test_a_checkpoint_that_another_thread_reads_keeps_what_is_allowed(tmp_path):
    torch.save(HistoryBuffer([1.0], [1]), tmp_path / "log.pth")
    names = []
    thread = threading.Thread(target=lambda: names.extend(named_globals(tmp_path / "log.pth")))
    with mmengine_content():
        thread.start()
        thread.join(0.1)
        assert names == []
        assert torch.load(tmp_path / "log.pth", weights_only=True).current() == 1.0
    thread.join(10)
    assert "mmengine.logging.history_buffer.HistoryBuffer" in names


def test_a_checkpoint_of_tensors_names_no_function_or_class(tmp_path):
    torch.save(dict(weight=torch.ones(1)), tmp_path / "plain.pth")
    assert named_globals(tmp_path / "plain.pth") == []
