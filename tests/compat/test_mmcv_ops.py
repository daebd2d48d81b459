"""The stand-in serves where MMCV is not compiled, and stays out where it is."""

import importlib
import importlib.util
import sys
from pathlib import Path

import mmcv
import pytest
import torch
from mmcv.ops import batched_nms, sigmoid_focal_loss, softmax_focal_loss
from mmcv.ops.nms import ext_module
from mmcv.utils import collect_env

from mmdet_embedmask.compat.mmcv_ops import (
    EXTENSION,
    STAND_IN_ORIGIN,
    build_stand_in,
    install_mmcv_ops,
)


@pytest.fixture
def no_extension(monkeypatch):
    """MMCV as if just installed: nothing imported in the extension's place."""
    monkeypatch.delitem(sys.modules, EXTENSION, raising=False)
    monkeypatch.setattr(mmcv, "_ext", None, raising=False)


@pytest.fixture
def lite(monkeypatch, no_extension, tmp_path):
    """An MMCV without the extension's file, whichever is installed."""
    monkeypatch.setattr(mmcv, "__path__", [str(tmp_path)])


@pytest.fixture
def stand_in():
    """Skip where compiled MMCV is imported, so that mmcv.ops uses that."""
    if not install_mmcv_ops():
        pytest.skip("compiled MMCV is installed here: mmcv.ops uses it, not the stand-in")


def write_extension(tmp_path: Path, source: str) -> None:
    (tmp_path / "_ext.py").write_text(source)


def test_without_an_extension_the_stand_in_is_installed_once(lite):
    assert install_mmcv_ops() is True
    module = sys.modules[EXTENSION]
    assert importlib.import_module(EXTENSION) is module
    assert importlib.util.find_spec(EXTENSION).origin == STAND_IN_ORIGIN
    assert install_mmcv_ops() is True
    assert sys.modules[EXTENSION] is module


def test_a_compiled_extension_is_left_alone(lite, tmp_path):
    write_extension(tmp_path, "compiled = True")
    assert install_mmcv_ops() is False
    assert sys.modules[EXTENSION].compiled
    assert install_mmcv_ops() is False


def test_an_extension_for_another_torch_is_named_with_the_cure(lite, tmp_path):
    write_extension(tmp_path, "raise ImportError('undefined symbol: _ZN2at4_ops5zeros')")
    with pytest.raises(ImportError) as error:
        install_mmcv_ops()
    message = str(error.value)
    assert "undefined symbol: _ZN2at4_ops5zeros" in message
    assert "built for another version of torch" in message
    assert "--no-build-isolation" in message and "pip install mmcv-lite==2.1.0" in message
    assert isinstance(error.value.__cause__, ImportError)


def test_another_operation_says_how_to_get_compiled_mmcv():
    with pytest.raises(NotImplementedError) as error:
        build_stand_in().deform_conv_forward(torch.zeros(1), kernel=3)
    message = str(error.value)
    assert message.startswith("deform_conv_forward is one of MMCV's compiled operations")
    assert "sigmoid_focal_loss_forward" in message
    assert "mim install mmcv==2.1.0" in message
    assert 'pip install "setuptools<82" ninja psutil' in message
    assert "pip install --no-build-isolation --no-binary mmcv mmcv==2.1.0" in message
    assert "pip uninstall -y mmcv-lite" in message


@pytest.mark.parametrize("name", ["__file__", "__path__", "__wrapped__", "_private"])
def test_private_names_are_absent(name):
    assert not hasattr(build_stand_in(), name)


def test_mmcv_and_mmdetection_import(stand_in):
    assert importlib.import_module("mmcv.ops").DeformConv2d
    assert importlib.import_module("mmdet.models").FCOSHead


def test_mmcv_nms_goes_through_the_stand_in(stand_in):
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9], [50, 50, 60, 60]])
    scores = torch.tensor([0.9, 0.8, 0.7, 0.95])
    classes = torch.tensor([0, 0, 1, 1])
    dets, kept = batched_nms(boxes, scores, classes, {"type": "nms", "iou_threshold": 0.5})
    assert kept.tolist() == [3, 0, 2]
    torch.testing.assert_close(dets[:, 4], scores[kept])


def test_mmcv_focal_loss_goes_through_the_stand_in(stand_in):
    logits = torch.zeros(2, 1, requires_grad=True)
    loss = sigmoid_focal_loss(logits, torch.tensor([0, 1]), 2.0, 0.25, None, "sum")
    loss.backward()
    # At p = 1/2: 1/4 log 2, weighted by 1/4 for the object and 3/4 for the background.
    torch.testing.assert_close(loss.detach(), torch.tensor(0.6931472 / 4))
    slope = 0.25 * (0.5 + 0.6931472)
    torch.testing.assert_close(logits.grad, torch.tensor([[-0.25 * slope], [0.75 * slope]]))


def test_another_operation_of_mmcv_raises(stand_in):
    with pytest.raises(NotImplementedError, match="softmax_focal_loss_forward"):
        softmax_focal_loss(torch.zeros(1, 2), torch.tensor([0]))


def test_mmcv_reports_its_environment_as_mmcv_lite_does(stand_in):
    assert collect_env()["MMCV CUDA Compiler"] == "n/a"


def test_compiled_mmcv_is_used_where_it_is_installed():
    if install_mmcv_ops():
        pytest.skip(f"no compiled MMCV here: mmcv._ext is the {STAND_IN_ORIGIN}")
    assert ext_module.__spec__.origin != STAND_IN_ORIGIN
    assert type(ext_module.nms).__name__ == "builtin_function_or_method"
