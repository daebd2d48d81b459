"""Which configs a release may name: those of the zoo, and of these the model's own."""

import pytest
from demo_model import CLASSES, demo_config
from mmengine.config import Config
from zoo import add_to_zoo

from mmdet_embedmask.release.zoo_config import (
    check_same_model,
    path_in_repository,
    with_chosen_threshold,
)


@pytest.mark.parametrize("name", ["net.py", "atss/net.py", "a/new/folder/net.py"])
def test_a_config_of_the_zoo_has_one_path_however_it_is_given(tmp_path, monkeypatch, name):
    config = add_to_zoo(tmp_path / "clone", name, Config())
    (tmp_path / "link").symlink_to(tmp_path / "clone")
    monkeypatch.chdir(tmp_path / "clone" / "configs")
    given = [config, f"embedmask/{name}", f"./embedmask/{name}", f"embedmask/b/../{name}"]
    for path in [*given, tmp_path / "link" / "configs" / "embedmask" / name]:
        assert path_in_repository(type(config)(path)) == f"configs/embedmask/{name}"


@pytest.mark.parametrize(
    "name",
    ["net.py", "configs/net.py", "configs/embedmask2/net.py", "configs/embedmask/../net.py"],
)
def test_a_config_outside_the_zoo_is_refused(tmp_path, name):
    add_to_zoo(tmp_path, "other.py", Config())
    with pytest.raises(ValueError, match=r"does not lie in configs/embedmask/ .* \(--config\)"):
        path_in_repository(tmp_path / name)


def test_a_folder_of_that_name_without_a_metafile_is_no_zoo(tmp_path):
    path = add_to_zoo(tmp_path, "net.py", Config())
    (path.parent / "metafile.yml").unlink()
    with pytest.raises(ValueError, match="does not lie in configs/embedmask/ .* metafile.yml"):
        path_in_repository(path)


def changed(options):
    config = demo_config()
    config.merge_from_dict(options)
    return config


@pytest.mark.parametrize(
    "options",
    [
        dict(work_dir="run", load_from="x.pth", seed=3, launcher="pytorch"),
        {"train_cfg": dict(max_iters=3)},
        {"test_dataloader.dataset.ann_file": "mine.json", "test_dataloader.num_workers": 8},
        {"model.backbone.init_cfg": dict(type="Pretrained", checkpoint="here.pth")},
        {"test_dataloader.dataset.pipeline.0.backend_args": dict(backend="petrel")},
        {"test_dataloader.dataset.pipeline.1.scale": [96, 96]},  # a list on the command line
        {"test_dataloader.dataset.pipeline.2.with_bbox": False},  # of the annotations
    ],
)
def test_what_makes_no_other_model_may_differ(options):
    check_same_model(changed(options), CLASSES, demo_config(), "net.py")
    check_same_model(demo_config(), list(CLASSES), changed(options), "net.py")


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"model.bbox_head.embed_dim": 7},
            "model.bbox_head.embed_dim is 7 in it and 5 in the checkpoint",
        ),
        (
            {"model.test_cfg.crop_to_box": True},
            "model.test_cfg.crop_to_box is True in it and not set in the checkpoint",
        ),
        (
            {"test_dataloader.dataset.pipeline.1.scale": (64, 64)},
            r"test_pipeline\[1\].scale\[0\] is 64 in it and 96 in the checkpoint",
        ),
        (
            {"test_dataloader.dataset.metainfo.classes": ("cat", "owl", "dog")},
            r"classes\[1\] is 'owl' in it and 'dog' in the checkpoint",
        ),
        (
            {"test_dataloader.dataset.metainfo.classes": ("cat", "dog")},
            r"classes\[2\] is not set in it and 'owl' in the checkpoint",
        ),
    ],
)
def test_what_makes_another_model_is_named(options, message):
    with pytest.raises(ValueError, match=message) as error:
        check_same_model(demo_config(), CLASSES, changed(options), "configs/embedmask/net.py")
    assert str(error.value).startswith("configs/embedmask/net.py is not the config of the check")
    assert "if --cfg-options changed that, write the change into a config" in str(error.value)


def test_the_threshold_alone_is_taken_over():
    trained = demo_config(mask_thr=0.5, max_per_img=10)
    chosen = with_chosen_threshold(trained, demo_config(mask_thr=0.6, max_per_img=7))
    assert chosen.to_dict() == demo_config(mask_thr=0.6, max_per_img=10).to_dict()
    assert trained.model.test_cfg.mask_thr == 0.5


@pytest.mark.parametrize("test_cfg", [None, dict(rcnn=dict(mask_thr_binary=0.5))])
def test_a_detector_without_such_a_threshold_stays_as_it_is(test_cfg):
    other = Config(dict(model=dict(test_cfg=test_cfg)))
    for trained, named in ((other, demo_config()), (demo_config(), other), (other, other)):
        before = trained.to_dict()
        assert with_chosen_threshold(trained, named).to_dict() == before
