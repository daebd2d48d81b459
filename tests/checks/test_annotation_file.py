import copy
import json

import pytest
from mmdet.datasets import CocoDataset
from shared_data import shared_file

from mmdet_embedmask.checks.annotation_file import check_coco, check_coco_file
from mmdet_embedmask.checks.problems import raise_errors

SQUARE = [[1.0, 1.0, 5.0, 1.0, 5.0, 5.0, 1.0, 5.0]]
CLASSES = ("cat", "dog")


def good() -> dict:
    annotation = dict(image_id=1, bbox=[1, 1, 4, 4], area=16.0, iscrowd=0, segmentation=SQUARE)
    return dict(
        images=[
            dict(id=1, file_name="a b.png", height=8, width=12),
            dict(id=2, file_name="ü.png", height=8, width=12),
        ],
        annotations=[
            dict(annotation, id=1, category_id=7),
            dict(annotation, id=2, category_id=3, image_id=2),
        ],
        categories=[dict(id=7, name="dog"), dict(id=3, name="cat")],
    )


def changed(place: tuple, **values) -> dict:
    """A good file with values changed, or removed where they are `...`."""
    content = copy.deepcopy(good())
    target = content
    for key in place:
        target = target[key]
    for key, value in values.items():
        target[key] = value
        if value is ...:
            del target[key]
    return content


ANN = ("annotations", 0)
IMG = ("images", 0)
NAN, INF = float("nan"), float("inf")


def floats(value, key=None):
    """The same content with a float for every whole number."""
    if isinstance(value, dict):
        return {key: floats(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [floats(part) for part in value]
    return float(value) if type(value) is int else value


def test_whole_numbers_may_be_written_as_floats():
    content = good()
    content["annotations"][0]["segmentation"] = dict(size=[8, 12], counts=[40, 5, 51])
    for use in ("train", "val", "test"):
        assert check_coco(floats(content), CLASSES, use) == []
        # As MMDetection, which looks ids up, takes 1.0 for 1.
        mixed = content | dict(annotations=floats(content["annotations"]))
        assert check_coco(mixed, CLASSES, use) == []
        mixed = content | dict(images=[content["images"][0], floats(content["images"][1])])
        assert check_coco(mixed, CLASSES, use) == []
    (problem,) = check_coco(floats(changed(ANN, bbox=[9, 1, 5, 5])), CLASSES)
    assert problem.examples[0].endswith("in 12 x 8")
    twice = changed(IMG, id=2.0)
    assert "an image id occurs twice" in check_coco(twice, CLASSES)[0].kind


def test_a_good_file_has_no_problem():
    for use in ("train", "val", "test"):
        content = good()
        assert check_coco(content, CLASSES, use) == []
        assert content == good()


ERRORS = {
    "list": ([], "holds no JSON object"),
    "empty object": ({}, "'images' is missing or not a list"),
    "no annotations": (changed((), annotations=...), "'annotations' is missing"),
    "annotations null": (changed((), annotations=None), "'annotations' is missing"),
    "no categories": (changed((), categories=...), "'categories' is missing"),
    "no images": (changed((), images=[]), "lists no image"),
    "no instance": (changed((), annotations=[]), "no instance to learn from"),
    "image null": (changed((), images=[None]), "entry of 'images' is not a JSON object"),
    "image id missing": (changed(IMG, id=...), "image's 'id' is missing"),
    "image id twice": (changed(IMG, id=2), "image id occurs twice.*image 2, 'ü.png'"),
    "image ids mixed": (changed(IMG, id="1"), "numbers and text"),
    "image id no whole number": (changed(IMG, id=1.5), "image's 'id' is missing, or no whole"),
    "file name missing": (changed(IMG, file_name=...), "'file_name' is missing"),
    "file name empty": (changed(IMG, file_name=""), "'file_name' is missing or no file name"),
    "file name with NUL": (changed(IMG, file_name="a\0.png"), "or no file name.*image 1, 'a.x00"),
    "height missing": (changed(IMG, height=...), "'height' or 'width' is missing.*height None"),
    "width zero": (changed(IMG, width=0), "'height' or 'width' is missing.*width 0"),
    "width no whole number": (changed(IMG, width=12.5), "whole number.*width 12.5"),
    "width NaN": (changed(IMG, width=NAN), "whole number.*width nan"),
    "height true": (changed(IMG, height=True), "whole number.*height True"),
    "size huge": (changed(IMG, width=2**31), "whole number"),
    "category without name": (changed(("categories", 0), name=...), "lacks a whole number"),
    "category without id": (changed(("categories", 0), id=...), "lacks a whole number"),
    "category id true": (changed(("categories", 0), id=True), "lacks a whole number"),
    "category id infinite": (changed(("categories", 0), id=INF), "lacks a whole number"),
    "category id too large": (changed(("categories", 0), id=2**63), "lacks a whole number"),
    "category id twice": (changed(("categories", 0), id=3), "category id occurs twice"),
    "category name twice": (changed(("categories", 0), name="cat"), "share a name"),
    "class misspelt": (changed(("categories", 0), name="Dog"), "'dog', the file has 'Dog'"),
    "annotation null": (changed((), annotations=[None]), "annotation is not a JSON object"),
    "annotation id missing": (changed(ANN, id=...), "annotation's 'id' is missing"),
    "annotation id twice": (changed(ANN, id=2), "annotation id occurs twice"),
    "annotation id true": (changed(ANN, id=True), "annotation's 'id' is missing or not"),
    "annotation id no whole number": (changed(ANN, id=1.5), "annotation's 'id' is missing or not"),
    "annotation id too small": (changed(ANN, id=-(2**63)), "annotation's 'id' is missing or not"),
    "annotation id text": (changed(ANN, id="1"), "annotation's 'id' is missing or not"),
    "no such image": (changed(ANN, image_id=9), "no usable image.*annotation 1 of image 9"),
    "image id list": (changed(ANN, image_id=[1]), "no usable image"),
    "no such category": (changed(ANN, category_id=9), "no category: correct.*category 9"),
    "box missing": (changed(ANN, bbox=...), "'bbox' is missing or not four numbers"),
    "box of three": (changed(ANN, bbox=[1, 1, 4]), "not four numbers"),
    "box text": (changed(ANN, bbox=["1", 1, 4, 4]), "not four numbers"),
    "box with true": (changed(ANN, bbox=[True, 1, 4, 4]), "not four numbers"),
    "box nan": (changed(ANN, bbox=[NAN, 1, 4, 4]), "NaN or infinite"),
    "box size nan": (changed(ANN, bbox=[1, 1, 4, NAN]), "NaN or infinite"),
    "box inf": (changed(ANN, bbox=[1, 1, INF, 4]), "NaN or infinite"),
    "box huge": (changed(ANN, bbox=[1, 1, 10**400, 4]), "further outside"),
    "box far to the left": (changed(ANN, bbox=[-1e9, 1, 4, 4]), "further outside"),
    "box right of the margin": (changed(ANN, bbox=[20, 1, 5, 4]), "further outside"),
    "box below the margin": (changed(ANN, bbox=[1, 16, 4, 5]), "further outside"),
    "box too wide for a float": (changed(ANN, bbox=[1.5, 1, 10**400, 4]), "further outside"),
    "box too far for a float": (changed(ANN, bbox=[10**400, 1, 1.5, 4]), "further outside"),
    "category id dict": (changed(ANN, category_id={}), "no category"),
    "box negative": (changed(ANN, bbox=[5, 5, -4, 4]), "negative size"),
    "area missing": (changed(ANN, area=...), "'area' is missing"),
    "area nan": (changed(ANN, area=NAN), "'area' is missing or not a finite"),
    "area huge": (changed(ANN, area=10**400), "'area' is missing or not a finite"),
    "crowd text": (changed(ANN, iscrowd="0"), "'iscrowd' must be 0 or 1"),
    "mask missing": (changed(ANN, segmentation=...), "a box without a mask"),
    "mask empty list": (changed(ANN, segmentation=[]), "a box without a mask"),
    "only an empty mask": (
        changed(
            (), annotations=[good()["annotations"][0] | dict(segmentation=[[13, 1, 20, 1, 20, 5]])]
        ),
        "no instance to learn from",
    ),
    "mask odd": (changed(ANN, segmentation=[[1, 1, 2]]), "odd number of coordinates"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_place_and_cause(name):
    content, message = ERRORS[name]
    problems = check_coco(content, CLASSES)
    with pytest.raises(ValueError, match=f"(?s)train.json cannot be used.*{message}"):
        raise_errors(problems, "train.json")


WARNINGS = {
    "crowd": (changed(ANN, iscrowd=1), []),
    "no crowd flag": (changed(ANN, iscrowd=...), []),
    "no height": (changed(ANN, bbox=[1, 1, 4, 0]), ["smaller than one pixel"]),
    "less than one pixel wide": (changed(ANN, bbox=[1, 1, 0.9, 4]), ["smaller than one pixel"]),
    "one pixel wide": (changed(ANN, bbox=[1, 1, 1, 4]), []),
    "one pixel high": (changed(ANN, bbox=[1, 1, 4, 1]), []),
    "zero area": (changed(ANN, area=0), ["smaller than one pixel"]),
    "negative area": (changed(ANN, area=-1.5), ["smaller than one pixel"]),
    "no mask, and box too small": (
        changed(ANN, bbox=[1, 1, 0, 4], segmentation=[]),
        ["smaller than one pixel"],
    ),
    "box outside": (changed(ANN, bbox=[13, 1, 4, 4]), ["box lies outside the image"]),
    "box ends at the left": (changed(ANN, bbox=[-4, 1, 4, 4]), ["box lies outside the image"]),
    "box ends above": (changed(ANN, bbox=[1, -4, 4, 4]), ["box lies outside the image"]),
    "box begins at the width": (changed(ANN, bbox=[12, 1, 4, 4]), ["box lies outside the image"]),
    "box begins at the height": (changed(ANN, bbox=[1, 8, 4, 4]), ["box lies outside the image"]),
    "box begins at the last pixel": (changed(ANN, bbox=[11, 1, 2, 4]), []),
    "box reaches to the left": (changed(ANN, bbox=[-2, 1, 4, 4]), ["reaches beyond its image"]),
    "box reaches above": (changed(ANN, bbox=[1, -2, 4, 4]), ["reaches beyond its image"]),
    "box reaches below": (changed(ANN, bbox=[1, 6, 4, 4]), ["reaches beyond its image"]),
    "box rounded to the left": (changed(ANN, bbox=[-1, -1, 4, 4]), []),
    "box at the margin": (changed(ANN, bbox=[11, 1, 13, 4]), ["reaches beyond its image"]),
    "box partly outside": (changed(ANN, bbox=[9, 1, 5, 5]), ["reaches beyond its image"]),
    "box rounded": (changed(ANN, bbox=[8, 1, 4.9, 5]), []),
    "polygon partly outside": (changed(ANN, segmentation=[[1, 1, 20, 1, 20, 5]]), []),
    "polygon outside": (changed(ANN, segmentation=[[13, 1, 20, 1, 20, 5]]), ["no pixel of the"]),
    "short polygon": (changed(ANN, segmentation=[[1, 1, 5, 5]]), ["fewer than three points"]),
    "file twice": (changed(IMG, file_name="ü.png"), ["listed as two images"]),
    "unused categories of one name": (
        changed((), categories=[*good()["categories"], *(dict(id=i, name="owl") for i in (8, 9))]),
        [],
    ),
    "ignored": (changed(ANN, ignore=1, segmentation=...), []),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_what_is_left_out_or_clipped_is_a_warning(name):
    content, kinds = WARNINGS[name]
    problems = check_coco(content, CLASSES)
    raise_errors(problems, "train.json")
    assert len(problems) == len(kinds)
    for problem, kind in zip(problems, kinds, strict=True):
        assert kind in problem.kind and problem.count == 1


def test_short_polygons_beside_others_leave_something_to_learn():
    content = changed((), annotations=good()["annotations"][:1])
    content["annotations"][0]["segmentation"] = [[1, 1, 5, 5], *SQUARE]
    assert [p.is_error for p in check_coco(content, CLASSES)] == [False]
    content["annotations"][0]["segmentation"] = [[1, 1, 5, 5]]
    error, warning = check_coco(content, CLASSES)
    assert "no instance to learn from" in error.kind and "fewer than three" in warning.kind


@pytest.mark.parametrize(
    "values, message",
    [
        (dict(iscrowd=...), "evaluation needs it"),
        (dict(segmentation=[[1, 1, 5, 5]]), "pycocotools reads as a box"),
        (dict(bbox=[1, 1, 0, 4], segmentation=[]), "a box without a mask"),
    ],
)
def test_evaluation_needs_more_of_a_file_than_training(values, message):
    raise_errors(check_coco(changed(ANN, **values), CLASSES, "train"), "train.json")
    for use in ("val", "test"):
        with pytest.raises(ValueError, match=message):
            raise_errors(check_coco(changed(ANN, **values), CLASSES, use), "val.json")


def test_annotation_id_zero_is_lost_in_evaluation():
    assert check_coco(changed(ANN, id=0), CLASSES, "train") == []
    (problem,) = check_coco(changed(ANN, id=0), CLASSES, "val")
    assert "number annotations from 1" in problem.kind and not problem.is_error


def test_validation_and_test_files_may_hold_no_instance():
    for content, use in (([], "val"), (..., "test")):
        (problem,) = check_coco(changed((), annotations=content), CLASSES, use)
        assert "predictions cannot be evaluated" in problem.kind and not problem.is_error
    images_too = changed(IMG, width=0) | dict(annotations=...)
    del images_too["annotations"]
    assert "'height' or 'width'" in check_coco(images_too, CLASSES, "test")[0].kind


def test_annotations_of_other_categories_are_counted():
    problems = check_coco(good(), ("cat",))
    assert [(p.count, p.is_error) for p in problems] == [(1, False)]
    assert "not in metainfo's classes" in problems[0].kind
    # Their masks are nobody's business.
    assert len(check_coco(changed(ANN, segmentation=None), ("cat",))) == 1


def test_classes_must_be_different_names():
    for classes in ("cat", ("cat", "cat")):
        assert any("tuple of different names" in p.kind for p in check_coco(good(), classes))


def test_five_places_are_named_and_all_counted():
    content = good()
    content["annotations"] = [
        dict(content["annotations"][0], id=number, bbox=None) for number in range(1, 10)
    ]
    problem = check_coco(content, CLASSES)[0]
    assert problem.count == 9 and len(problem.examples) == 5
    assert "annotation 5 of image 1, None and 4 more]" in str(problem)


@pytest.mark.parametrize(
    "text, message",
    [
        (None, "does not exist: correct data_root"),
        (b"", "is empty: copy"),
        (json.dumps(good()).encode()[:-20], "not complete JSON"),
        (b"\xef\xbb\xbf{}", "not complete JSON in UTF-8 without a byte order mark"),
        (b"\xff\xfe{}", "not complete JSON in UTF-8"),
        (b"[" * 100_000, "not complete JSON"),
        (b"1" * 5000, "not complete JSON"),
        (b"null", "holds no JSON object"),
    ],
)
def test_a_file_that_is_no_annotation_file_is_told(tmp_path, text, message):
    path = tmp_path / "train.json"
    if text is not None:
        path.write_bytes(text)
    (problem,) = check_coco_file(path, CLASSES)
    assert message in problem.kind and problem.is_error
    (folder,) = check_coco_file(tmp_path, CLASSES)
    assert "cannot be read" in folder.kind


@pytest.mark.slow  # it needs data that is not in the repository
@pytest.mark.parametrize("name", ["coco_fixture", "coco_ccby", "dsb2018"])
@pytest.mark.parametrize("split, use", [("train", "train"), ("train", "val"), ("val", "val")])
def test_real_files_have_no_problem(name, split, use):
    path = shared_file(f"data/{name}/instances_{split}.json")
    classes = ("nucleus",) if name == "dsb2018" else CocoDataset.METAINFO["classes"]
    assert check_coco_file(path, classes, use) == []
