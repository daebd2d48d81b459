"""Releases that were damaged, or made to mislead: each fault is told by name."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from demo_model import demo_config, save_checkpoint
from mmengine.config import Config
from zoo import add_to_zoo, zoo_facts

from mmdet_embedmask.files import sha256
from mmdet_embedmask.release import verification
from mmdet_embedmask.release.folder import publish
from mmdet_embedmask.release.verification import verify_release, write_sums


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    root = tmp_path_factory.mktemp("release")
    picture = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    cv2.imwrite(str(root / "image.png"), picture)
    (root / "metrics.json").write_text('{"coco/segm_mAP": 0.3}')
    config = add_to_zoo(root, "demo.py", demo_config())
    facts = zoo_facts(config)
    checkpoint = save_checkpoint(root / "demo.pth")
    return publish(
        checkpoint,
        work_dir=root,
        out=root,
        image=root / "image.png",
        facts=facts,
        metrics=root / "metrics.json",
    )


@pytest.fixture
def copied(release, tmp_path):
    return Path(shutil.copytree(release, tmp_path / release.name))


def refused(folder):
    with pytest.raises(ValueError) as error:
        verify_release(folder)
    return str(error.value)


def replace_checkpoint(folder, content):
    """Other bytes in the checkpoint's place, with sums and name as they must be."""
    (path,) = folder.glob("*.pth")
    path.unlink()
    path = folder / f"demo-{sha256(content)[:8]}.pth"
    path.write_bytes(content)
    entry = yaml.safe_load((folder / "metafile_entry.yml").read_text())
    entry[0]["Weights"] = f"http://host/{path.name}"
    (folder / "metafile_entry.yml").write_text(yaml.safe_dump(entry))
    write_sums(folder)


def change_config(folder, old, new):
    (path,) = folder.glob("*.pth")
    content = torch.load(path, weights_only=True)
    assert old in content["meta"]["cfg"]
    content["meta"]["cfg"] = content["meta"]["cfg"].replace(old, new)
    torch.save(content, path)
    replace_checkpoint(folder, path.read_bytes())


def test_a_release_has_one_checkpoint(copied):
    (path,) = copied.glob("*.pth")
    shutil.copy(path, copied / "second.pth")
    write_sums(copied)
    assert refused(copied) == f"{copied} holds 2 checkpoints, not one"


def test_a_checkpoint_is_named_by_its_digest(copied):
    (path,) = copied.glob("*.pth")
    path.rename(copied / "demo-01234567.pth")
    write_sums(copied)
    assert "demo-01234567.pth does not end with its SHA-256's beginning" in refused(copied)


def test_an_entry_of_other_weights_is_refused(copied):
    path = copied / "metafile_entry.yml"
    (entry,) = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump([entry | dict(Weights="http://host/other.pth")]))
    write_sums(copied)
    assert refused(copied) == f"{path} names other weights: http://host/other.pth"


def test_an_entry_without_weights_may_be_filled_in_later(copied):
    path = copied / "metafile_entry.yml"
    (entry,) = yaml.safe_load(path.read_text())
    entry.pop("Weights")
    path.write_text(yaml.safe_dump([entry]))
    write_sums(copied)
    assert verify_release(copied).holds


ENTRY = dict(Name="demo", Config="demo.py", Metadata={}, Results=[])


@pytest.mark.parametrize(
    "entry",
    [
        *("", "- {", "text", "Name: demo", "[]", "- 3", "- a\n- b"),
        *(yaml.safe_dump([ENTRY | {key: None}]) for key in ("Config", "Metadata", "Results")),
        yaml.safe_dump([ENTRY | dict(Weights=3, Metadata={"Training Log": "none"})]),
        yaml.safe_dump([{"Config": "demo.py"}]),
        b"\xff\xfe\x00",
    ],
)
def test_a_broken_entry_is_told_by_its_file(copied, entry):
    path = copied / "metafile_entry.yml"
    path.write_bytes(entry if isinstance(entry, bytes) else entry.encode())
    write_sums(copied)
    message = refused(copied)
    assert message.startswith(f"{path} is no entry of a metafile (") and "\n" not in message


@pytest.mark.parametrize(
    "text", ["", "{", "[3]", "3", '[{"score": 0.9}]', '[{"bbox": [1], "score": 0.9, "label": 0}]']
)
def test_a_broken_prediction_is_told_by_its_file(copied, text):
    path = copied / "verification" / "output.json"
    path.write_text(text)
    write_sums(copied)
    assert refused(copied).startswith(f"{path} cannot be compared (")


def test_an_empty_prediction_verifies_nothing(copied):
    """Of a model that is sure of nothing: what is missing could not be told from a mistake."""
    change_config(copied, "score_thr=0.0", "score_thr=1.0")
    path = copied / "verification" / "output.json"
    path.write_text("[]")
    write_sums(copied)
    assert refused(copied) == f"{path} is empty and verifies nothing"


@pytest.mark.parametrize("name", ["metafile_entry.yml", "verification/output.json"])
def test_a_missing_file_is_told_also_where_the_sums_do_not_name_it(copied, name):
    (copied / name).unlink()
    write_sums(copied)
    assert f"{copied / name} " in refused(copied)


def test_a_broken_image_cannot_be_predicted(copied):
    (path,) = copied.glob("*.pth")
    (copied / "verification" / "input.png").write_bytes(b"")
    write_sums(copied)
    message = f"{path} cannot predict verification/input.png (UnreadableImageError: "
    assert refused(copied).startswith(message)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04"])
def test_a_file_that_is_no_checkpoint_is_told(copied, content):
    replace_checkpoint(copied, content)
    assert f"demo-{sha256(content)[:8]}.pth is no checkpoint (" in refused(copied)


def test_a_checkpoint_that_was_cut_short_is_told(copied):
    (path,) = copied.glob("*.pth")
    replace_checkpoint(copied, path.read_bytes()[:-1000])
    assert ".pth is no checkpoint (" in refused(copied)


@pytest.mark.parametrize(
    "old, new, cause",
    [
        ("model = dict(", "model = dict(wrong,", "NameError: name 'wrong' is not defined"),
        ("num_classes=3", "num_classes=4", "RuntimeError: .* size mismatch"),
        ("type='EmbedMask'", "type='Unknown'", "KeyError: .*Unknown is not in the"),
    ],
)
def test_a_config_that_does_not_fit_the_weights_is_told(copied, old, new, cause):
    change_config(copied, old, new)
    with pytest.raises(ValueError, match=rf"cannot predict verification/input.png \({cause}"):
        verify_release(copied)


def test_a_detector_that_does_not_say_where_it_cuts_cannot_be_compared(copied, monkeypatch):
    two_stages = Config(dict(model=dict(test_cfg=dict(rcnn=dict(score_thr=0.05)))))
    monkeypatch.setattr(verification, "predict_alone", lambda *_: ([], two_stages))
    assert "cannot be compared (ValueError: model.test_cfg has no score_thr" in refused(copied)


@pytest.mark.parametrize(
    "line",
    [
        *("text", "0123  metrics.json", "0" * 64 + " metrics.json", "0" * 64 + "  ", ""),
        *("G" * 64 + "  metrics.json", "0" * 63 + "  metrics.json", b"\xff" * 64 + b"  x"),
    ],
)
def test_a_malformed_line_of_the_sums_is_told(copied, line):
    with (copied / "SHA256SUMS").open("ab") as file:
        file.write((line if isinstance(line, bytes) else line.encode()) + b"\n")
    message = f"{copied / 'SHA256SUMS'} holds a line that is no SHA-256 and file name: "
    assert refused(copied).startswith(message)


def test_of_two_lines_for_a_file_both_must_hold(copied):
    path = copied / "SHA256SUMS"
    path.write_text("0" * 64 + "  metrics.json\n" + path.read_text())
    assert refused(copied) == f"{copied / 'metrics.json'} has changed since it was released"


def outside(folder, name):
    """A file that lies outside the release, whose hash its sums hold under a name."""
    path = folder.parent / "secret.txt"
    path.write_text("secret")
    with (folder / "SHA256SUMS").open("a") as file:
        file.write(f"{sha256(b'secret')}  {name or path}\n")
    return path


@pytest.mark.parametrize("name", ["../secret.txt", "verification/../../secret.txt", None])
def test_sums_may_name_no_file_outside_the_folder(copied, name):
    path = outside(copied, name)
    expected = f"{copied / 'SHA256SUMS'} names {name or path}, which does not lie in {copied}"
    assert refused(copied) == expected


def test_a_link_that_leads_outside_is_refused(copied):
    (copied / "link.txt").symlink_to(outside(copied, "link.txt"))
    assert "names link.txt, which does not lie in" in refused(copied)


def test_a_folder_that_is_a_link_outside_is_refused(copied):
    (copied / "verification").rename(copied.parent / "elsewhere")
    (copied / "verification").symlink_to(copied.parent / "elsewhere")
    assert "names verification/input.png, which does not lie in" in refused(copied)


@pytest.mark.parametrize("target", ["nothing", "folder"])
def test_a_link_beside_what_was_released_is_refused(copied, target):
    (copied.parent / "folder").mkdir()
    (copied / "added").symlink_to(copied.parent / target)
    assert refused(copied) == f"{copied} holds files that were not released: added"


def test_a_release_behind_a_link_is_verified(copied):
    (copied.parent / "link").symlink_to(copied)
    assert verify_release(copied.parent / "link").holds
