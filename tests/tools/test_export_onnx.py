"""The command that exports: its errors in this process, and the whole as a user runs it."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from runs import make_shapes, shapes_config
from tiny import build_model
from tool_module import load_tool

from mmdet_embedmask.export import onnx_file
from mmdet_embedmask.export.agreement import Agreement
from mmdet_embedmask.loading import build_detector

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool():
    return load_tool("export_onnx")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint that carries its config, and a folder of images."""
    root = tmp_path_factory.mktemp("trained")
    make_shapes(root / "shapes", 2, size=64)
    cfg = shapes_config(root / "shapes", root, 1, **{"model.test_cfg.score_thr": 0.0})
    cfg.model.backbone.base_channels = 8
    cfg.model.neck.in_channels = [8, 16, 32, 64]
    torch.manual_seed(0)
    model = build_detector(Config(cfg.to_dict()), None, "cpu")
    torch.save(
        dict(state_dict=model.state_dict(), meta=dict(cfg=cfg.pretty_text)), root / "model.pth"
    )
    return root


def fails(tool, capsys, *argv):
    with pytest.raises(SystemExit) as caught:
        tool.main([str(part) for part in argv])
    return f"{caught.value} {capsys.readouterr().err}"


@pytest.fixture
def quick(tool, monkeypatch):
    """Without the packages and the seconds that a real export takes."""
    monkeypatch.setattr(tool, "check_packages", lambda: None)
    monkeypatch.setattr(tool, "onnx_bytes", lambda model, metadata: b"a file")


def test_wrong_arguments_are_told_and_nothing_is_written(tool, trained, tmp_path, capsys, quick):
    model, out = trained / "model.pth", tmp_path / "model.onnx"
    assert "none.pth is not a file" in fails(tool, capsys, tmp_path / "none.pth", out)
    assert "must be a file that ends in .onnx" in fails(tool, capsys, model, tmp_path / "model.pb")
    missing = fails(tool, capsys, model, out, "--verify", tmp_path / "none.png")
    assert "none.png does not exist" in missing
    other = ("--cfg-options", "model.type=CondInst")
    assert "looks inside EmbedMask alone" in fails(tool, capsys, model, out, *other)
    torch.save(dict(state_dict=build_model().state_dict()), tmp_path / "bare.pth")
    assert "carries no config" in fails(tool, capsys, tmp_path / "bare.pth", out)
    assert not out.exists()


def test_missing_packages_are_told_with_their_command(tool, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None)
    message = fails(tool, capsys, trained / "model.pth", tmp_path / "model.onnx")
    assert 'pip install "mmdet_embedmask[optional]"' in message


@pytest.mark.parametrize(
    "found, message",
    [
        (Agreement(5, 0, 1, 0.0, 0.0, 0.0), "does not agree: 5 detections, 1 labels differ"),
        (Agreement(0, 2, 0, 0.0, 0.0, 0.0), "does not agree: 0 detections, 2 more or fewer"),
        (Agreement(0, 0, 0, 0.0, 0.0, 0.0), "detects nothing on these images, .*score_thr"),
    ],
)
def test_a_file_that_is_not_verified_is_not_written(
    tool, trained, tmp_path, capsys, monkeypatch, quick, found, message
):
    out = tmp_path / "model.onnx"
    monkeypatch.setattr(tool, "verify", lambda model, content, sources: found)
    images = trained / "shapes" / "train"
    printed = fails(tool, capsys, trained / "model.pth", out, "--verify", images)
    assert re.match(f"error: not written, .*{message}", printed)
    assert not list(tmp_path.iterdir())


def test_without_images_the_file_is_written_and_said_not_to_be_verified(
    tool, trained, tmp_path, capsys, quick
):
    out = tmp_path / "new" / "model.onnx"
    tool.main([str(trained / "model.pth"), str(out)])
    assert out.read_bytes() == b"a file" and [out] == list(out.parent.iterdir())
    assert "not verified: give images with --verify" in capsys.readouterr().out


@pytest.mark.slow
def test_a_file_that_agrees_on_every_image_is_written(tool, trained, tmp_path, capsys):
    for name in onnx_file.ONNX_PACKAGES:
        pytest.importorskip(name)
    out, folder = tmp_path / "model.onnx", trained / "shapes" / "train"
    tool.main([str(trained / "model.pth"), str(out), "--verify", str(folder)])
    *images, last = capsys.readouterr().out.strip().splitlines()
    images = [line for line in images if "detections, labels are equal" in line]
    assert len(images) == 3 and "64 x 64" in images[0] and "(part), 48 x 48" in images[1]
    assert re.search(r"model.onnx: \d+\.\d MB, verified in onnxruntime. \d+ detections", last)
    assert out.stat().st_size > 10**6
