import pytest
import torch
from mmengine.config import Config
from runs import CONFIGS
from tiny import build_model, model_cfg

from mmdet_embedmask.loading import build_detector, checkpoint_config


def checkpoint(path, state_dict):
    torch.save(dict(state_dict=state_dict, meta=dict()), path)
    return path


def test_a_detector_has_its_checkpoints_weights_and_is_in_eval_mode(tmp_path):
    trained = build_model()
    path = checkpoint(tmp_path / "trained.pth", trained.state_dict())
    model = build_detector(Config(dict(model=model_cfg())), path, "cpu")
    assert not model.training
    for name, value in trained.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_without_a_checkpoint_nothing_is_downloaded():
    config = Config.fromfile(CONFIGS / "embedmask_r18_fpn_dsb2018.py")
    config.model.backbone.init_cfg = dict(type="Pretrained", checkpoint="https://nowhere.invalid/")
    model = build_detector(config, None, torch.device("cpu"))
    assert config.model.backbone.init_cfg.type == "Pretrained"  # the config is not changed
    assert model.bbox_head.conv_cls.bias.tolist() == pytest.approx([-4.59512], abs=1e-4)


def test_a_checkpoint_of_another_model_is_refused_by_the_names_of_its_weights(tmp_path):
    state_dict = build_model(bbox_head=dict(learnable_margin=False)).state_dict()
    path = checkpoint(tmp_path / "other.pth", state_dict)
    with pytest.raises(RuntimeError, match="(?s)missing keys.*proposal_branch.conv_margin.weight"):
        build_detector(Config(dict(model=model_cfg())), path, "cpu")


def test_a_checkpoint_carries_its_config(tmp_path):
    text = Config.fromfile(CONFIGS / "embedmask_r18_fpn_dsb2018.py").pretty_text
    path = tmp_path / "trained.pth"
    torch.save(dict(state_dict={}, meta=dict(cfg=text)), path)
    config = checkpoint_config(path, {"model.test_cfg.mask_thr": 0.7})
    assert config.model.type == "EmbedMask" and config.model.test_cfg.mask_thr == 0.7
    assert config.custom_imports.imports == ["mmdet_embedmask"]


def test_a_checkpoint_without_a_config_is_refused(tmp_path):
    path = checkpoint(tmp_path / "bare.pth", {})
    with pytest.raises(ValueError, match="bare.pth carries no config"):
        checkpoint_config(path)
