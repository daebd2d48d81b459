"""Data sets of MMDetection: which are looked into, and what their images must be like."""

import json

import cv2
import numpy as np
import pytest
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmdet.datasets import CocoDataset
from mmdet.datasets.lvis import LVISV1Dataset
from mmdet.datasets.transforms import (
    LoadAnnotations,
    LoadImageFromNDArray,
    LoadMultiChannelImageFromFiles,
)
from PIL import Image

from mmdet_embedmask import CocoDatasetByName
from mmdet_embedmask.checks.dataset import (
    dataset_problems,
    image_problems,
    load_by_classes,
    reads_coco_files,
)

SQUARE = [[1.0, 1.0, 5.0, 1.0, 5.0, 5.0, 1.0, 5.0]]
TURNED = "turned by EXIF data"


def coco(folder, kind=CocoDataset, sizes=((8, 12),), boxes=((1, 1, 4, 4),), **options):
    """A data set of images 1.png, 2.png, ... of given (height, width), not written."""
    images = [
        dict(id=i, file_name=f"{i}.png", height=height, width=width)
        for i, (height, width) in enumerate(sizes, start=1)
    ]
    annotations = [
        dict(
            id=i,
            image_id=1,
            category_id=1,
            bbox=list(box),
            area=16,
            iscrowd=0,
            segmentation=SQUARE,
        )
        for i, box in enumerate(boxes, start=1)
    ]
    content = dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name="cat"), dict(id=2, name="dog")],
    )
    (folder / "train.json").write_text(json.dumps(content))
    options = (
        dict(
            data_prefix=dict(img=str(folder)),
            metainfo=dict(classes=("cat",)),
            pipeline=[LoadImageFromFile()],
            lazy_init=True,
        )
        | options
    )
    return kind(ann_file=str(folder / "train.json"), **options)


def found(dataset, use="train"):
    dataset.full_init()
    return image_problems(dataset, use, range(len(dataset)))


def test_only_local_files_in_cocos_own_format_are_checked(tmp_path):
    class Child(CocoDataset):
        METAINFO = dict(classes=("cat",))

    class Parser(CocoDataset):
        def parse_data_info(self, raw_data_info):
            return super().parse_data_info(raw_data_info)

    for kind in (CocoDataset, CocoDatasetByName, Child):
        assert reads_coco_files(coco(tmp_path, kind))
    assert not reads_coco_files(coco(tmp_path, Parser))
    assert not reads_coco_files(coco(tmp_path, LVISV1Dataset))
    assert not reads_coco_files(coco(tmp_path, backend_args=dict(backend="petrel")))
    assert not reads_coco_files(coco(tmp_path, data_prefix=dict(img="s3://bucket/train/")))


def test_labels_by_the_files_order_need_the_classes_in_it(tmp_path, monkeypatch):
    pets = dict(metainfo=dict(classes=("dog", "cat")))
    load_by_classes(coco(tmp_path, CocoDatasetByName, **pets))
    files, load = [], json.load
    monkeypatch.setattr(json, "load", lambda file: files.append(file.name) or load(file))
    same = coco(tmp_path, metainfo=dict(classes=("cat", "dog")))
    load_by_classes(same)
    # It takes seconds to read a large one.
    assert files == [str(tmp_path / "train.json")]
    assert len(same) == 1 and same.cat_ids == [1, 2] and "COCOAPI" not in vars(same)
    with pytest.raises(
        ValueError, match=r"CocoDataset \(.*train.json(?s:.*)labels go by the order"
    ):
        load_by_classes(coco(tmp_path, **pets))


def test_errors_of_images_stand_before_warnings_of_annotations(tmp_path):
    dataset = coco(tmp_path, sizes=[(8, 12)] * 7, boxes=[(1, 1, 4, 4), (1, 1, 0, 4)])
    error, warning = dataset_problems(dataset, "train")
    assert error.kind.startswith("an image is missing") and error.is_error
    assert (error.count, len(error.examples)) == (7, 5)
    assert warning.kind.startswith("smaller than one pixel") and not warning.is_error


class Own(BaseTransform):
    """A loader of files that OpenCV does not read."""

    def transform(self, results):
        raise NotImplementedError


class OwnChild(LoadImageFromFile):
    def transform(self, results):
        raise NotImplementedError


class Renamed(LoadImageFromFile):
    pass


S3 = dict(backend_args=dict(backend="petrel"))
TIFF = dict(imdecode_backend="tifffile")


@pytest.mark.parametrize(
    "pipeline, looked_at",
    [
        ([LoadImageFromFile()], True),
        ([LoadImageFromFile(backend_args=dict(backend="local")), LoadAnnotations()], True),
        ([Renamed()], True),
        ([], False),
        ([Own(), LoadImageFromFile()], False),
        ([OwnChild()], False),
        ([LoadImageFromNDArray()], False),
        ([LoadMultiChannelImageFromFiles()], False),
        ([LoadImageFromFile(**TIFF)], False),
        ([LoadImageFromFile(**S3)], False),
    ],
    ids="file local child none own own-child array channels tiff s3".split(),
)
def test_images_are_looked_at_where_it_is_known_how_they_are_read(tmp_path, pipeline, looked_at):
    problems = found(coco(tmp_path, pipeline=pipeline))
    assert [p.kind.split(":")[0] for p in problems] == ["an image is missing"] * looked_at


@pytest.mark.parametrize("size", [(1, 12), (8, 1)])
def test_one_pixel_is_too_narrow_for_training_alone(tmp_path, size):
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros(size, np.uint8))
    dataset = coco(tmp_path, sizes=[size])
    (problem,) = found(dataset)
    assert "one pixel wide or high" in problem.kind and problem.is_error
    assert found(dataset, "val") == found(dataset, "test") == []


@pytest.mark.parametrize(
    "said, loaded, hint", [((8, 12), (12, 8), True), ((8, 12), (8, 13), False)]
)
def test_exchanged_sides_hint_at_exif_data_and_no_other_size(tmp_path, said, loaded, hint):
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros(loaded, np.uint8))
    (problem,) = found(coco(tmp_path, sizes=[said]))
    assert problem.kind.startswith("an image has another size than the annotation file says")
    assert (TURNED in problem.kind) == hint
    where = f"loaded {loaded[1]} x {loaded[0]}, file says {said[1]} x {said[0]}"
    assert problem.examples == (f"{tmp_path}/1.png: {where}",)


@pytest.mark.parametrize(
    "color_type, turns",
    [
        ("color", True),
        ("grayscale", True),
        ("color_ignore_orientation", False),
        ("grayscale_ignore_orientation", False),
        ("unchanged", False),
    ],
)
def test_the_loader_says_whether_images_are_turned(tmp_path, color_type, turns):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (12, 8)).save(tmp_path / "1.png", "JPEG", exif=exif)
    loader = LoadImageFromFile(color_type=color_type)
    size = loader(dict(img_path=str(tmp_path / "1.png")))["ori_shape"]
    assert size == ((12, 8) if turns else (8, 12))
    assert found(coco(tmp_path, sizes=[size], pipeline=[loader])) == []
    assert len(found(coco(tmp_path, sizes=[size[::-1]], pipeline=[loader]))) == 1
