"""Labels follow names, in data set and metric alike, and errors of loading are explained."""

import json

import pytest
from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO
from mmdet.evaluation import CocoMetric

from mmdet_embedmask.compat.coco_dataset import install_coco_dataset

NAMES = {7: "dog", 3: "cat", 5: "bird"}
SQUARE = [[1.0, 1.0, 5.0, 1.0, 5.0, 5.0, 1.0, 5.0]]


def write(path, **changes):
    annotation = dict(image_id=1, bbox=[1, 1, 4, 4], area=16.0, iscrowd=0, segmentation=SQUARE)
    content = dict(
        images=[dict(id=1, file_name="a.png", height=8, width=12)],
        annotations=[dict(annotation, id=key, category_id=key) for key in NAMES],
        categories=[dict(id=key, name=name) for key, name in NAMES.items()],
    )
    path.write_text(json.dumps(content | changes))
    return str(path)


def dataset(path, classes, **options):
    options = dict(data_prefix=dict(img="")) | options
    return CocoDataset(ann_file=str(path), metainfo=dict(classes=classes), **options)


@pytest.mark.parametrize(
    "classes", [("dog", "cat", "bird"), ("bird", "dog", "cat"), ("cat", "bird"), ["bird"]]
)
def test_labels_are_places_in_classes(tmp_path, classes):
    path = write(tmp_path / "train.json")
    data = dataset(path, classes)
    ids = {name: key for key, name in NAMES.items()}
    assert data.cat2label == {ids[name]: label for label, name in enumerate(classes)}
    labels = [instance["bbox_label"] for instance in data.get_data_info(0)["instances"]]
    assert labels == [classes.index(name) for name in NAMES.values() if name in classes]
    metric = CocoMetric(ann_file=path)
    assert metric._coco_api.get_cat_ids(cat_names=classes) == [ids[name] for name in classes]


def test_without_names_the_files_order_stays(tmp_path):
    api = COCO(write(tmp_path / "train.json"))
    assert api.get_cat_ids() == [7, 3, 5]
    assert api.get_cat_ids(cat_ids=[5, 7]) == [7, 5]
    assert api.get_cat_ids("dog") == [7]


def test_installing_twice_changes_nothing():
    before = COCO.get_cat_ids, CocoDataset.full_init
    install_coco_dataset()
    assert (COCO.get_cat_ids, CocoDataset.full_init) == before


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(categories=None), "'categories' is missing"),
        (dict(categories=[dict(id=1)]), "lacks a whole number as 'id' or a text as 'name'"),
        (dict(images=[dict(id=1, height=8, width=12)]), "'file_name' is missing"),
        (dict(annotations=[dict(id=1)]), "no usable image"),
    ],
)
@pytest.mark.parametrize("test_mode", [True, False])
def test_a_file_that_cannot_be_loaded_is_explained(tmp_path, changes, message, test_mode):
    path = write(tmp_path / "train.json", **changes)
    with pytest.raises(ValueError, match=f"train.json.*cannot be used(?s:.*){message}") as caught:
        dataset(path, ("cat",), test_mode=test_mode)
    assert caught.value.__cause__ is not None


def test_broken_json_and_missing_file(tmp_path):
    (tmp_path / "train.json").write_text('{"images": [')
    with pytest.raises(ValueError, match="(?s)train.json.*not complete JSON"):
        dataset(tmp_path / "train.json", ("cat",))
    with pytest.raises(ValueError, match="(?s)other.json.*does not exist: correct data_root"):
        dataset(tmp_path / "other.json", ("cat",))


def test_a_filter_that_leaves_nothing(tmp_path):
    path = write(tmp_path / "train.json")
    with pytest.raises(ValueError, match=r"filter_cfg=.*'min_size': 32.* leaves no image"):
        dataset(path, ("cat",), filter_cfg=dict(min_size=32))


def test_a_forgotten_image_folder(tmp_path):
    with pytest.raises(ValueError, match=r"where its images lie: set data_prefix=dict\(img="):
        dataset(write(tmp_path / "train.json"), ("cat",), data_prefix=dict(img_path=""))


def test_other_errors_stay_as_they_are(tmp_path):
    class Other(CocoDataset):
        def load_data_list(self):
            raise KeyError("of its own")

    with pytest.raises(KeyError, match="of its own"):
        Other(ann_file=write(tmp_path / "train.json", categories=None))
