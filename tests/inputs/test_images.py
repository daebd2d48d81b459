import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from runs import make_shapes, shapes_config

from mmdet_embedmask.inputs.images import config_class_names, open_images, spread_indices
from mmdet_embedmask.visualization.rows import dataset_row


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_shapes(tmp_path_factory.mktemp("shapes"), 3, size=64)


@pytest.fixture
def config(root, tmp_path):
    return shapes_config(root, tmp_path, 1)


def write_image(path, size=(40, 60)):
    cv2.imwrite(str(path), np.full((*size, 3), (10, 20, 30), np.uint8))


def test_a_folder_gives_its_images_by_name_and_no_other_files(tmp_path, config):
    for name in ("b.png", "a.JPG", "c.txt"):
        write_image(tmp_path / "x.png", (40, 60))
        (tmp_path / "x.png").rename(tmp_path / name)
    (tmp_path / "inner.png").mkdir()  # no image, whatever its name
    source = open_images(config, images=tmp_path)
    assert [source.path(i).name for i in range(len(source))] == ["a.JPG", "b.png"]
    assert not source.annotated and source.class_names == ("ellipse", "polygon", "ring")
    assert source.image(1).shape == (40, 60, 3) and (source.image(1) == (10, 20, 30)).all()
    data = source[1]
    assert data["inputs"].shape == (3, 40, 60)
    assert data["data_samples"].ori_shape == (40, 60)
    assert data["data_samples"].img_path == str(tmp_path / "b.png")
    batch = source.batch(1)
    assert len(batch["inputs"]) == 1 and torch.equal(batch["inputs"][0], data["inputs"])


def test_one_image_is_a_source_of_one(tmp_path, config):
    write_image(tmp_path / "one.png")
    source = open_images(config, images=tmp_path / "one.png")
    assert len(source) == 1 and source.path(0) == tmp_path / "one.png"


def test_without_other_images_the_configs_own_data_is_opened(root, config):
    source = open_images(config)
    assert len(source) == 3 and source.annotated
    assert source.path(0).parent == root / "train"
    assert source[0]["data_samples"].img_id == source.get_data_info(0)["img_id"]


def test_names_and_images_are_found_in_a_process_without_a_scope(config, monkeypatch):
    names = ("ellipse", "polygon", "ring")
    monkeypatch.setattr(DefaultScope, "_instance_dict", {})
    assert config_class_names(config) == names
    monkeypatch.setattr(DefaultScope, "_instance_dict", {})
    assert open_images(config).class_names == names


def test_a_coco_file_has_the_same_truth(root, config):
    annotations = root / "annotations" / "instances_train.json"
    config.test_dataloader.dataset.update(ann_file="nowhere.json", data_prefix=dict(img="gone/"))
    source = open_images(config, coco=annotations, image_root=root / "train")
    assert len(source) == 3
    expected = json.loads(annotations.read_text())
    counts = [len(source.get_data_info(i)["instances"]) for i in range(3)]
    assert sum(counts) == len(expected["annotations"]) > 0


def test_another_order_of_the_classes_is_refused_where_labels_go_by_the_files(root, config):
    dataset = config.test_dataloader.dataset
    dataset.metainfo = dict(classes=("ring", "ellipse", "polygon"))
    instances = open_images(config).get_data_info(0)["instances"]
    own = json.loads((root / "annotations" / "instances_train.json").read_text())["annotations"]
    labels = {1: 1, 2: 2, 3: 0}  # the file's ids are of ellipse, polygon, ring
    assert [i["bbox_label"] for i in instances] == [
        labels[a["category_id"]] for a in own if a["image_id"] == 1
    ]
    dataset.type = "CocoDataset"
    with pytest.raises(ValueError, match="labels go by the order of the file's categories"):
        open_images(config)


class Blind:
    def test_step(self, batch):
        (sample,) = batch["data_samples"]
        sample.pred_instances = InstanceData(
            scores=torch.zeros(0),
            labels=torch.zeros(0, dtype=torch.long),
            masks=torch.zeros(0, *sample.ori_shape, dtype=torch.bool),
        )
        return [sample]


def test_rows_of_a_source_hold_its_truth(config):
    source = open_images(config)
    row = dataset_row(Blind(), source, 1, 0.5)
    wanted = [i for i in source.get_data_info(1)["instances"] if not i["ignore_flag"]]
    assert row.truth.masks.shape == (len(wanted), 64, 64)
    assert np.array_equal(row.image, source.image(1))


@pytest.mark.parametrize(
    ("length", "number", "expected"),
    [(10, 4, [0, 3, 6, 9]), (3, 6, [0, 1, 2]), (5, 1, [0]), (1, 3, [0])],
)
def test_indices_are_spread_evenly_over_the_set(length, number, expected):
    assert spread_indices(length, number) == expected


def test_a_source_goes_through_another_configs_pipeline(config):
    source = open_images(config)
    other = Config(config.to_dict())
    for transform in other.test_dataloader.dataset.pipeline:
        if transform["type"] == "Resize":
            transform["scale_factor"] = 2.0
    assert source.through(other)[0]["inputs"].shape == (3, 128, 128)
    assert source[0]["inputs"].shape == (3, 64, 64)


def test_missing_things_are_named(tmp_path, root, config):
    with pytest.raises(ValueError, match="does not exist: give a folder of images"):
        open_images(config, images=tmp_path / "nowhere")
    with pytest.raises(ValueError, match=f"there are no images in {tmp_path}: .* end in .bmp"):
        open_images(config, images=tmp_path)
    annotations = root / "annotations" / "instances_train.json"
    with pytest.raises(
        ValueError, match=r"instances_train.json.* cannot be used(?s:.*)'cat', the file has"
    ):
        config.test_dataloader.dataset.metainfo = dict(classes=("cat",))
        open_images(config, coco=annotations, image_root=root / "train")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(
        ValueError, match=r"list.json.* cannot be used(?s:.*)the file holds no JSON object"
    ):
        open_images(config, coco=tmp_path / "list.json", image_root=root)
    config.test_dataloader.dataset.ann_file = str(tmp_path / "nowhere.json")
    with pytest.raises(ValueError, match="give --images or --coco, or correct its paths"):
        open_images(config)


def test_unreadable_images_are_named(tmp_path, root, config):
    annotations = root / "annotations" / "instances_train.json"
    source = open_images(config, coco=annotations, image_root=tmp_path)
    with pytest.raises(ValueError, match="does not exist: check the folder of the images"):
        source.check([0])
    (tmp_path / "broken.png").write_bytes(b"no picture")
    source = open_images(config, images=tmp_path)
    with pytest.raises(ValueError, match="broken.png is not an image that OpenCV can read"):
        source.check([0])
