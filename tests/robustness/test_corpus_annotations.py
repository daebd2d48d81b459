"""Faulty and unusual annotation files, from the file to the loss: the tables name all cases.

The check's every message has its own test in tests/checks/test_annotation_file.py; here whole runs
are refused, or train on what the file says.
"""

import numpy as np
import pytest
from corpus import (
    CLASSES,
    PIXELS,
    SIZE,
    box_annotation,
    coco_content,
    encoded,
    image_entry,
    log_text,
    quick_runner,
    run_config,
    trained,
    training_sample,
    write_data,
)
from pycocotools import mask as coco_mask

FILES = {"image.png": encoded(PIXELS), "empty.png": encoded(PIXELS)}
EMPTY = image_entry("empty.png", id=2)
NAN, INF = float("nan"), float("inf")
HEIGHT, WIDTH = SIZE


def content(*annotations, **changes):
    annotations = annotations or (box_annotation(8, 8, 24, 16),)
    return coco_content([image_entry(), EMPTY], list(annotations), **changes)


def one(**changes):
    return content(box_annotation(8, 8, 24, 16, **changes))


def images(*entries):
    return content(images=list(entries))


def categories(*names):
    return content(categories=[dict(id=n + 1, name=name) for n, name in enumerate(names)])


def rle(mask_box=(8, 8, 24, 16), size=SIZE, plain=False):
    x, y, w, h = mask_box
    mask = np.zeros(size, np.uint8, order="F")
    mask[y : y + h, x : x + w] = 1
    if not plain:
        return dict(size=list(size), counts=coco_mask.encode(mask)["counts"].decode())
    runs = [x * size[0] + y] + [h, size[0] - h] * (w - 1) + [h]
    return dict(size=list(size), counts=[*runs, mask.size - sum(runs)])


REFUSED = {
    # name: (content of the annotation file, message)
    "empty file": (b"", "the annotation file is empty"),
    "empty object": ({}, "'images' is missing or not a list"),
    "list": ([], "holds no JSON object"),
    "broken JSON": (b'{"images": [{"id": 1,', "not complete JSON"),
    "byte order mark": (b"\xef\xbb\xbf{}", "without a byte order mark"),
    "images alone": (content(annotations=..., categories=...), "'annotations' is missing"),
    "no images": (content(images=[]), "lists no image"),
    "no annotations key": (content(annotations=...), "'annotations' is missing"),
    "no annotations": (content(annotations=[]), "no instance to learn from"),
    "crowds only": (one(iscrowd=1), "no instance to learn from"),
    "no categories": (content(categories=...), "'categories' is missing"),
    "category without name": (content(categories=[dict(id=1)]), "lacks a whole number as 'id'"),
    "category id unknown": (one(category_id=4), "no category: correct it.*annotation 1 of image 1"),
    "class misspelt": (categories("elipse", "polygon", "ring"), "'ellipse', the file has 'elipse'"),
    "class name twice": (categories(*CLASSES, "ring"), "two categories share a name"),
    "image id twice": (images(image_entry(), image_entry("empty.png")), "image id occurs twice"),
    "annotation id twice": (
        content(box_annotation(8, 8, 9, 9), box_annotation(9, 9, 9, 9)),
        "annotation id occurs twice",
    ),
    "image id unknown": (one(image_id=7), "no usable image.*annotation 1 of image 7"),
    "no width": (images(image_entry(width=...)), "'height' or 'width' is missing.*'image.png'"),
    "no file name": (images(image_entry(file_name=...)), "'file_name' is missing"),
    "wrong height": (images(image_entry(height=47)), "loaded 64 x 48, file says 64 x 47"),
    "no box": (one(bbox=...), "'bbox' is missing or not four numbers"),
    "box of text": (one(bbox=["8", "8", "24", "16"]), "'bbox' is missing or not four numbers"),
    "box NaN": (one(bbox=[8, NAN, 24, 16]), "NaN or infinite"),
    "box infinite": (one(bbox=[8, 8, INF, 16]), "NaN or infinite"),
    "box negative": (one(bbox=[32, 24, -24, -16]), "negative size"),
    "no area": (one(area=...), "'area' is missing"),
    "crowd flag of text": (one(iscrowd="0"), "'iscrowd' must be 0 or 1"),
    "no crowd flag in validation": (one(iscrowd=...), "'iscrowd' must be 0 or 1"),
    "no mask": (one(segmentation=...), "a box without a mask"),
    "empty mask list": (one(segmentation=[]), "a box without a mask"),
    "flat polygon": (one(segmentation=[8, 8, 32, 8, 32, 24]), "must be a list of lists"),
    "odd polygon": (one(segmentation=[[8, 8, 32, 8, 32, 24, 8]]), "odd number of coordinates"),
    "two-point polygon": (one(segmentation=[[8, 8, 32, 24]]), "fewer than three points"),
    "polygon NaN": (one(segmentation=[[8, 8, NAN, 8, 32, 24]]), "NaN or infinite"),
    "polygon far away": (one(segmentation=[[8, 8, 1e9, 8, 32, 24]]), "further outside"),
    "polygon of text": (one(segmentation=[["8", 8, 32, 8, 32, 24]]), "not a number"),
    "RLE of another size": (one(segmentation=rle(size=(64, 48))), "not the image's"),
    "larger RLE": (one(segmentation=rle(size=(96, 128))), "not the image's"),
    "RLE with a wrong sum": (one(segmentation=dict(size=list(SIZE), counts=[3])), "do not sum"),
    "RLE of broken text": (one(segmentation=dict(size=list(SIZE), counts="oo")), "compressed run"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_faulty_annotation_file_is_refused_before_the_first_iteration(tmp_path, name):
    written, message = REFUSED[name]
    root = write_data(tmp_path / "data", FILES, written)
    runner = quick_runner(run_config(root))
    with pytest.raises(
        ValueError, match=f"(?s)CocoDatasetByName .*instances_train.json.*{message}"
    ):
        runner.train()
    assert "train/loss" not in runner.message_hub.log_scalars


HALF = [[-10.0, 8.0, 16.0, 8.0, 16.0, 24.0, -10.0, 24.0]]
LOADED = {
    # name: (annotations, mask areas that training must see, their boxes)
    "polygon": ([box_annotation(8, 8, 24, 16)], [384], [[8, 8, 32, 24]]),
    "two polygons": (
        [box_annotation(8, 8, 8, 8, segmentation=[[8, 8, 12, 8, 12, 12, 8, 12]] + HALF)],
        [16 * 16],
        [[8, 8, 16, 16]],
    ),
    "compressed RLE": ([box_annotation(8, 8, 24, 16, segmentation=rle())], [384], [[8, 8, 32, 24]]),
    "plain RLE": (
        [box_annotation(8, 8, 24, 16, segmentation=rle(plain=True))],
        [384],
        [[8, 8, 32, 24]],
    ),
    "polygon beyond the image": (
        [box_annotation(0, 8, 16, 16, segmentation=HALF)],
        [16 * 16],
        [[0, 8, 16, 24]],
    ),
    "box partly outside": (
        [box_annotation(-8, 8, 24, 16, segmentation=HALF)],
        [16 * 16],
        [[-8, 8, 16, 24]],
    ),
    "box outside": (
        [box_annotation(8, 8, 24, 16), box_annotation(70, 8, 24, 16, id=2)],
        [384],
        [[8, 8, 32, 24]],
    ),
    "box of zero area": (
        [box_annotation(8, 8, 24, 16), box_annotation(8, 8, 24, 0, id=2)],
        [384],
        [[8, 8, 32, 24]],
    ),
    "mask outside": (
        [
            box_annotation(8, 8, 24, 16),
            box_annotation(8, 8, 24, 16, id=2, segmentation=[[-9, 1, -2, 1, -2, 9]]),
        ],
        [384, 0],
        [[8, 8, 32, 24]] * 2,
    ),
    "crowd": (
        [
            box_annotation(8, 8, 24, 16),
            box_annotation(0, 0, 64, 48, id=2, iscrowd=1, segmentation=rle(plain=True)),
        ],
        [384],
        [[8, 8, 32, 24]],
    ),
    "text as image id": (
        [box_annotation(8, 8, 24, 16, image_id="a")],
        [384],
        [[8, 8, 32, 24]],
    ),
}


@pytest.mark.parametrize("name", LOADED)
def test_training_sees_the_masks_and_boxes_of_an_unusual_annotation_file(tmp_path, name):
    annotations, areas, boxes = LOADED[name]
    identity = annotations[0]["image_id"]
    written = coco_content([image_entry(id=identity)], annotations)
    root = write_data(tmp_path / "data", FILES, written)
    _, sample = training_sample(root)
    truth = sample.gt_instances
    assert truth.masks.masks.sum(axis=(1, 2)).tolist() == areas
    assert truth.bboxes.tensor.tolist() == boxes
    assert len(sample.ignored_instances) == (name == "crowd")
    trained(root)


def test_what_is_left_out_is_logged_once_with_its_count(tmp_path):
    empty = [box_annotation(8, 8, 24, 0, id=n + 2) for n in range(7)]
    root = write_data(tmp_path / "data", FILES, content(box_annotation(8, 8, 24, 16), *empty))
    trained(root)
    # Training and validation data are the same here: MMEngine logs no warning twice.
    (line,) = [line for line in log_text(root).splitlines() if "smaller than one pixel" in line]
    assert "annotation 6 of image 1" in line and line.endswith("and 2 more]")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
def test_labels_go_by_name_whatever_the_order_of_the_file(tmp_path, order):
    annotations = [
        box_annotation(8, 8, 24, 16, id=n + 1, category_id=10 + n) for n in range(len(CLASSES))
    ]
    written = content(*annotations, categories=[dict(id=10 + n, name=CLASSES[n]) for n in order])
    root = write_data(tmp_path / "data", FILES, written)
    _, sample = training_sample(root)
    assert sample.gt_instances.labels.tolist() == [0, 1, 2]
    runner = trained(root)
    assert runner.val_evaluator.metrics[0].cat_ids == [10, 11, 12]


def test_images_without_annotations_are_trained_on(tmp_path):
    root = write_data(tmp_path / "data", FILES, content())
    _, sample = training_sample(root, 1)
    assert len(sample.gt_instances) == 0 and sample.gt_instances.masks.masks.shape == (0, *SIZE)
    runner = trained(root, **{"train_dataloader.batch_size": 2})
    assert len(runner.train_dataloader.dataset) == 2
    alone = content(box_annotation(8, 8, 24, 16, image_id=2), images=[image_entry(), EMPTY])
    root = write_data(tmp_path / "filtered", FILES, alone)
    runner = trained(root, **{"train_dataloader.dataset.filter_cfg.filter_empty_gt": True})
    assert len(runner.train_dataloader.dataset) == 1


def test_a_filter_that_leaves_no_image_is_refused(tmp_path):
    root = write_data(tmp_path / "data", FILES, content(annotations=[]))
    options = {"train_dataloader.dataset.filter_cfg.filter_empty_gt": True}
    with pytest.raises(ValueError, match="no instance to learn from"):
        quick_runner(run_config(root, **options)).train()


@pytest.mark.parametrize("num_classes", [2, 4])
def test_a_num_classes_off_by_one_is_refused(tmp_path, num_classes):
    root = write_data(tmp_path / "data", FILES, content())
    runner = quick_runner(run_config(root, **{"model.bbox_head.num_classes": num_classes}))
    message = f"bbox_head.num_classes={num_classes}, but CocoDatasetByName has 3 classes"
    with pytest.raises(ValueError, match=message):
        runner.train()


@pytest.mark.parametrize("classes", [("ring", "polygon", "ellipse"), ("ellipse", "polygon")])
def test_classes_that_differ_between_training_and_validation_are_refused(tmp_path, classes):
    root = write_data(tmp_path / "data", FILES, content())
    cfg = run_config(root)
    cfg.val_dataloader.dataset.metainfo = dict(classes=classes)
    with pytest.raises(ValueError, match="has classes .*'ellipse', 'polygon', 'ring'.* but .*has"):
        quick_runner(cfg).train()


def test_classes_missing_from_the_validation_file_are_refused(tmp_path):
    root = write_data(tmp_path / "data", FILES, content())
    other = write_data(tmp_path / "other", FILES, categories("ellipse", "polygon", "Ring"))
    cfg = run_config(root)
    cfg.val_dataloader.dataset.data_root = str(other)
    cfg.val_dataloader.dataset.ann_file = "annotations/instances_train.json"
    with pytest.raises(ValueError, match="(?s)other/anno.*'ring', the file has 'Ring'"):
        quick_runner(cfg).train()


def test_an_evaluator_whose_file_lacks_images_is_refused(tmp_path):
    root = write_data(tmp_path / "data", FILES, content())
    other = write_data(
        tmp_path / "other", FILES, coco_content([image_entry()], [box_annotation(8, 8, 9, 9)])
    )
    cfg = run_config(root)
    cfg.val_evaluator.ann_file = str(other / "annotations" / "instances_train.json")
    message = "ann_file cannot be used(.|\n)*lacks images of .*set val_evaluator.ann_file"
    with pytest.raises(ValueError, match=message):
        quick_runner(cfg).train()


def test_test_data_are_checked_before_testing(tmp_path):
    root = write_data(tmp_path / "data", FILES, one(iscrowd=...))
    with pytest.raises(ValueError, match="'iscrowd' must be 0 or 1, and evaluation needs it"):
        quick_runner(run_config(root)).test()


def test_a_checked_file_trains_and_validates_without_a_word(tmp_path):
    root = write_data(tmp_path / "data", FILES, content())
    trained(root)
    assert "Iter(val)" in log_text(root) and "CocoDatasetByName (" not in log_text(root)
