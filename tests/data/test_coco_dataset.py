"""Labels follow names, in data set and metric alike, and errors of loading are explained."""

import json

import pytest
import torch
from mmdet.evaluation import CocoMetric

from mmdet_embedmask.checks.metric import check_metric_labels
from mmdet_embedmask.data.coco_dataset import (
    CocoByName,
    CocoDatasetByName,
    CocoMetricByName,
)

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
    options = dict(data_prefix=dict(img=""), serialize_data=False) | options
    return CocoDatasetByName(ann_file=str(path), metainfo=dict(classes=classes), **options)


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
    metric = CocoMetricByName(ann_file=path)
    metric.dataset_meta = dict(classes=classes)
    assert metric.cat_ids == [ids[name] for name in classes]


def evaluated(metric, path, label):
    """AP of one right box with a label; the truth is the file's only object, a dog."""
    pred = dict(
        bboxes=torch.tensor([[1.0, 1.0, 5.0, 5.0]]),
        scores=torch.ones(1),
        labels=torch.tensor([label]),
    )
    info = dict(img_id=1, ori_shape=(8, 12), pred_instances=pred)
    metric.process({}, [info])
    return metric.evaluate(size=1)["coco/bbox_mAP"]


@pytest.mark.parametrize("classes", [("dog", "cat", "bird"), ("bird", "dog", "cat")])
def test_a_prediction_is_right_if_its_label_is_the_place_of_its_name(tmp_path, classes):
    dog = dict(id=1, image_id=1, category_id=7, bbox=[1, 1, 4, 4], area=16, iscrowd=0)
    path = write(tmp_path / "val.json", annotations=[dog])
    for label, name in enumerate(classes):
        metric = CocoMetricByName(ann_file=path, metric="bbox")
        metric.dataset_meta = dict(classes=classes)
        assert evaluated(metric, path, label) == float(name == "dog")


DOUBLE = [dict(id=key, name=name) for key, name in {**NAMES, 9: "cat"}.items()]
ANOTHER = "labels go by the order of the file's categories.*type='CocoDatasetByName'"


@pytest.mark.parametrize(
    "classes, categories, message",
    [
        (("cat", "owl"), ..., "a class is not among the file's categories.*'owl'"),
        (("cat", "dog"), DOUBLE, "two categories share a name: unite them"),
    ],
)
def test_every_class_has_one_category_or_the_file_is_refused(
    tmp_path, classes, categories, message
):
    path = write(tmp_path / "val.json", **({} if categories is ... else dict(categories=DOUBLE)))
    with pytest.raises(ValueError, match=f"val.json.*cannot be used(?s:.*){message}"):
        dataset(path, classes)
    # Before anything is predicted.
    with pytest.raises(ValueError, match=f"CocoMetricByName's ann_file cannot(?s:.*){message}"):
        CocoMetricByName(ann_file=path).dataset_meta = dict(classes=classes)
    with pytest.raises(
        ValueError, match=f"CocoMetric's ann_file cannot be used(?s:.*){message}"
    ) as caught:
        check_metric_labels(CocoMetric(ann_file=path), classes)
    # Of classes that are not there, the order is no matter.
    assert ("labels go by" in str(caught.value)) == (categories is DOUBLE)


def test_categories_that_are_not_learned_may_share_a_name(tmp_path):
    path = write(tmp_path / "train.json", categories=DOUBLE)
    assert dataset(path, ("dog", "bird")).cat_ids == [7, 5]


def test_mmdetections_metric_is_right_for_the_files_own_order_alone(tmp_path):
    path = write(tmp_path / "val.json")
    for classes in (("dog", "cat", "bird"), ("dog", "bird")):
        check_metric_labels(CocoMetric(ann_file=path), classes)
    with pytest.raises(ValueError, match=ANOTHER):
        check_metric_labels(CocoMetric(ann_file=path), ("cat", "dog"))
    check_metric_labels(CocoMetricByName(ann_file=path), ("cat", "dog"))
    # Without a file, it is MMDetection that writes one.
    check_metric_labels(CocoMetric(), ("cat", "dog"))
    CocoMetricByName().dataset_meta = dict(classes=("cat", "dog"))


def test_other_questions_to_a_file_are_answered_as_ever(tmp_path):
    api = CocoByName(write(tmp_path / "train.json"))
    assert api.get_cat_ids() == [7, 3, 5]
    assert api.get_cat_ids(cat_ids=[5, 7]) == [7, 5]
    assert api.get_cat_ids(("bird", "dog"), cat_ids=[7]) == [7]


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


def test_broken_json_and_a_missing_file_are_told(tmp_path):
    (tmp_path / "train.json").write_text('{"images": [')
    with pytest.raises(ValueError, match="(?s)train.json.*not complete JSON"):
        dataset(tmp_path / "train.json", ("cat",))
    with pytest.raises(ValueError, match="(?s)other.json.*does not exist: correct data_root"):
        dataset(tmp_path / "other.json", ("cat",))


def test_a_filter_that_leaves_no_image_is_told(tmp_path):
    path = write(tmp_path / "train.json")
    with pytest.raises(ValueError, match=r"filter_cfg=.*'min_size': 32.* leaves no image"):
        dataset(path, ("cat",), filter_cfg=dict(min_size=32), serialize_data=True)
    path, filter_cfg = (
        write(tmp_path / "background.json", annotations=[]),
        dict(filter_empty_gt=True),
    )
    with pytest.raises(ValueError, match=r"filter_cfg=.*'filter_empty_gt': True.* leaves no image"):
        dataset(path, ("cat",), filter_cfg=filter_cfg, serialize_data=True)


def test_a_forgotten_image_folder_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"where its images lie: set data_prefix=dict\(img="):
        dataset(write(tmp_path / "train.json"), ("cat",), data_prefix=dict(img_path=""))


def test_a_test_file_needs_no_annotations_to_be_explained(tmp_path):
    path = write(tmp_path / "test.json", images=[dict(id=1, height=8, width=12)])
    content = json.loads((tmp_path / "test.json").read_text())
    del content["annotations"]
    (tmp_path / "test.json").write_text(json.dumps(content))
    with pytest.raises(ValueError) as caught:
        dataset(path, ("cat",), test_mode=True)
    assert "'file_name' is missing" in str(caught.value)
    assert "'annotations'" not in str(caught.value)
    with pytest.raises(ValueError, match="'annotations' is missing or not a list"):
        dataset(path, ("cat",))


@pytest.mark.parametrize(
    "method, kind",
    [
        ("load_data_list", KeyError),
        ("load_data_list", ValueError),
        ("filter_data", KeyError),
        ("filter_data", ValueError),
        ("COCOAPI", KeyError),
    ],
)
def test_other_errors_stay_as_they_are(tmp_path, method, kind):
    def own(*args):
        raise kind("of its own")

    other = type("Other", (CocoDatasetByName,), {method: own})
    with pytest.raises(kind, match="^'?of its own'?$"):
        other(
            ann_file=write(tmp_path / "train.json"),
            data_prefix=dict(img=""),
            metainfo=dict(classes=("cat",)),
        )
