import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from tool_module import load_tool

from mmdet_embedmask.data.labelme import (
    annotated_classes,
    coco_content,
    read_labelme,
    read_labelme_files,
    split_images,
)


def shape(points, label="cell", kind="polygon", group=None):
    return dict(label=label, points=points, group_id=group, shape_type=kind, flags={})


def write(path, *shapes, **changes):
    content = dict(
        version="5.5.0",
        flags={},
        shapes=list(shapes),
        imagePath=f"{path.stem}.png",
        imageData=None,
        imageHeight=40,
        imageWidth=60,
    )
    path.write_text(json.dumps(content | changes))
    path.with_suffix(".png").write_bytes(b"not looked into")
    return path


SQUARE = [[10, 10], [20, 10], [20, 20], [10, 20]]


def test_a_polygon_becomes_an_annotation_with_its_box_and_area(tmp_path):
    image = read_labelme(write(tmp_path / "a.json", shape(SQUARE)))
    assert (image.file_name, image.height, image.width) == ("a.png", 40, 60)
    dataset = coco_content([image], ["cell"])
    assert dataset == dict(
        images=[dict(id=1, file_name="a.png", height=40, width=60)],
        annotations=[
            dict(
                id=1,
                image_id=1,
                category_id=1,
                segmentation=[[10, 10, 20, 10, 20, 20, 10, 20]],
                bbox=[10, 10, 10, 10],
                area=100,
                iscrowd=0,
            )
        ],
        categories=[dict(id=1, name="cell", supercategory="")],
    )


def test_a_group_is_one_object_and_the_same_group_of_another_label_another(tmp_path):
    other = [[30, 10], [34, 10], [34, 14]]
    path = write(
        tmp_path / "a.json",
        shape(SQUARE, group=1),
        shape(other, group=1),
        shape(SQUARE, "debris", group=1),
        shape(other),
        shape(other),
    )
    image = read_labelme(path)
    assert [(i.label, len(i.polygons)) for i in image.instances] == [
        ("cell", 2),
        ("debris", 1),
        ("cell", 1),
        ("cell", 1),
    ]
    assert annotated_classes([image]) == ("cell", "debris")
    annotation = coco_content([image], ["debris", "cell"])["annotations"][0]
    assert annotation["category_id"] == 2
    assert annotation["bbox"] == [10, 10, 24, 10] and annotation["area"] == 100 + 8


def test_rectangle_and_circle_become_polygons(tmp_path):
    path = write(
        tmp_path / "a.json",
        shape([[20, 20], [10, 10]], kind="rectangle"),
        shape([[30, 20], [30, 30]], kind="circle"),
    )
    square, circle = coco_content([read_labelme(path)], ["cell"])["annotations"]
    assert square["bbox"] == [10, 10, 10, 10] and square["area"] == 100
    assert circle["bbox"] == [20, 10, 20, 20]
    assert circle["area"] == pytest.approx(np.pi * 100, rel=2e-3)
    codes = coco_mask.frPyObjects(circle["segmentation"], 40, 60)
    assert coco_mask.area(codes)[0] == pytest.approx(np.pi * 100, rel=0.02)


@pytest.mark.parametrize(
    "shapes, changes, message",
    [
        ([shape(SQUARE[:2])], {}, "a polygon of class 'cell' has 2 points and needs 3"),
        ([shape(SQUARE, kind="linestrip")], {}, "is a linestrip: redraw it as one of"),
        ([shape([[0, 0], [1, float("nan")], [2, 2]])], {}, "a point that is no number"),
        ([shape(SQUARE)], dict(imageHeight=None), "is not an annotation file of labelme"),
        ([], dict(shapes=3), "is not an annotation file of labelme"),
        ([shape([["a", "b"]] * 3)], {}, "could not convert string"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_file(tmp_path, shapes, changes, message):
    path = write(tmp_path / "wrong.json", *shapes, **changes)
    with pytest.raises(ValueError, match=f"wrong.json.*{message}"):
        read_labelme(path)


def test_a_file_that_is_no_json_is_refused(tmp_path):
    (tmp_path / "wrong.json").write_text("{")
    with pytest.raises(ValueError, match="wrong.json is not an annotation file of labelme"):
        read_labelme(tmp_path / "wrong.json")


def test_two_files_of_one_image_are_refused(tmp_path):
    paths = [write(tmp_path / f"{name}.json", shape(SQUARE)) for name in ("a", "b")]
    assert [image.file_name for image in read_labelme_files(paths)] == ["a.png", "b.png"]
    paths.append(write(tmp_path / "c.json", imagePath="..\\images\\a.png"))
    with pytest.raises(ValueError, match=r"/a.json and .*/c.json both annotate a.png.*remove one"):
        read_labelme_files(paths)


def test_classes_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"\('cell', 'cell'\) must be different names"):
        coco_content([], ["cell", "cell"])


def test_an_unknown_class_is_refused(tmp_path):
    image = read_labelme(write(tmp_path / "a.json", shape(SQUARE, "cel")))
    with pytest.raises(ValueError, match=r"a.png has an object of class 'cel'.*\('cell',\)"):
        coco_content([image], ["cell"])


def test_the_split_follows_share_and_seed_and_leaves_one_image_at_least(tmp_path):
    images = [read_labelme(write(tmp_path / f"{i}.json", shape(SQUARE))) for i in range(10)]
    train, val = split_images(images, 0.3, seed=0)
    assert len(val) == 3 and sorted([*train, *val], key=lambda i: i.file_name) == images
    assert split_images(images, 0.3, seed=0) == (train, val)
    assert split_images(images, 0.3, seed=1) != (train, val)
    assert [len(part) for part in split_images(images[:2], 0.01, 0)] == [1, 1]
    with pytest.raises(ValueError, match="1 annotated image"):
        split_images(images[:1], 0.5, 0)


@pytest.fixture
def tool():
    return load_tool("dataset_converters/labelme_to_coco").main


def test_the_tool_writes_both_parts_and_prints_the_classes(tool, tmp_path, capsys):
    for i in range(5):
        write(tmp_path / f"{i}.json", shape(SQUARE), shape(SQUARE, "debris"))
    tool([str(tmp_path), str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert "train: 4 images, 8 objects" in printed and "val: 1 images, 2 objects" in printed
    assert "classes=('cell', 'debris')" in printed
    train = json.loads((tmp_path / "out" / "train.json").read_text())
    assert len(train["images"]) == 4 and [c["name"] for c in train["categories"]] == [
        "cell",
        "debris",
    ]


@pytest.mark.parametrize(
    "prepare, message",
    [
        (lambda folder: None, "holds no .json file: annotate its images with labelme"),
        (lambda folder: write(folder / "a.json").with_suffix(".png").unlink(), "lacks the images"),
        (
            lambda folder: [write(folder / f"{n}.json", imagePath="a.png") for n in "ab"],
            "both annotate a.png",
        ),
    ],
)
def test_the_tool_says_what_is_missing(tool, tmp_path, capsys, prepare, message):
    prepare(tmp_path)
    with pytest.raises(SystemExit):
        tool([str(tmp_path), str(tmp_path / "out")])
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_tool_overwrites_nothing_unasked(tool, tmp_path, capsys):
    for name in ("a", "train"):
        write(tmp_path / f"{name}.json", shape(SQUARE))
    before = (tmp_path / "train.json").read_text()
    with pytest.raises(SystemExit):
        tool([str(tmp_path), str(tmp_path)])
    assert "holds labelme's files" in capsys.readouterr().err
    assert (tmp_path / "train.json").read_text() == before
    tool([str(tmp_path), str(tmp_path / "out")])
    with pytest.raises(SystemExit):
        tool([str(tmp_path), str(tmp_path / "out")])
    assert "give --force to replace it" in capsys.readouterr().err
    tool([str(tmp_path), str(tmp_path / "out"), "--force"])
