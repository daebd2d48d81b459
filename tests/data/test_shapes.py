import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets import CocoDataset
from mmdet.datasets.transforms import LoadAnnotations
from pycocotools.coco import COCO

from mmdet_embedmask.data import shapes as shapes_module
from mmdet_embedmask.data.shape_drawing import SHAPE_CLASSES, draw_shape
from mmdet_embedmask.data.shape_scene import (
    MIN_VISIBLE_FRACTION,
    MIN_VISIBLE_PIXELS,
    ShapesConfig,
    render_image,
)
from mmdet_embedmask.data.shapes import write_coco_shapes

SMALL = ShapesConfig(num_images=6, height=96, width=128, crowd_fraction=0.5)


def render_many(config, number=60):
    return [render_image(np.random.default_rng([config.seed, i]), config) for i in range(number)]


def files_below(root):
    return {p.relative_to(root): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def solidity(mask):
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return mask.sum() / cv2.contourArea(cv2.convexHull(contours[0]))


def test_same_arguments_write_the_same_bytes(tmp_path):
    for folder in ("first", "second"):
        write_coco_shapes(tmp_path / folder, "train", SMALL)
    first, second = files_below(tmp_path / "first"), files_below(tmp_path / "second")
    assert len(first) == SMALL.num_images + 1
    assert first == second


def test_seed_and_split_change_every_image(tmp_path):
    write_coco_shapes(tmp_path / "a", "train", SMALL)
    write_coco_shapes(tmp_path / "a", "val", SMALL)
    other = ShapesConfig(num_images=6, height=96, width=128, crowd_fraction=0.5, seed=1)
    write_coco_shapes(tmp_path / "b", "train", other)
    for name in (f"{i:06d}.png" for i in range(1, 7)):
        base = (tmp_path / "a/train" / name).read_bytes()
        assert base != (tmp_path / "a/val" / name).read_bytes()
        assert base != (tmp_path / "b/train" / name).read_bytes()


def test_an_image_does_not_depend_on_how_many_there_are(tmp_path):
    write_coco_shapes(tmp_path / "few", "train", ShapesConfig(num_images=2))
    write_coco_shapes(tmp_path / "more", "train", ShapesConfig(num_images=4))
    for name in ("000001.png", "000002.png"):
        few, more = (tmp_path / folder / "train" / name for folder in ("few", "more"))
        assert few.read_bytes() == more.read_bytes()


def test_annotations_are_the_rendered_visible_masks(tmp_path, monkeypatch):
    rendered = []

    def remember(rng, config):
        rendered.append(render_image(rng, config))
        return rendered[-1]

    monkeypatch.setattr(shapes_module, "render_image", remember)
    config = ShapesConfig(num_images=20, height=80, width=112, crowd_fraction=0.3)
    coco = COCO(write_coco_shapes(tmp_path, "val", config))

    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == list(SHAPE_CLASSES)
    assert coco.getAnnIds() == list(range(1, len(coco.anns) + 1))
    kinds = set()
    for image_id, (image, instances) in enumerate(rendered, start=1):
        entry = coco.imgs[image_id]
        assert (entry["height"], entry["width"]) == (80, 112)
        assert np.array_equal(cv2.imread(str(tmp_path / "val" / entry["file_name"])), image)
        annotations = coco.loadAnns(coco.getAnnIds(image_id))
        assert len(annotations) == len(instances)
        for annotation, instance in zip(annotations, instances, strict=True):
            assert np.array_equal(coco.annToMask(annotation), instance.mask)
            ys, xs = np.nonzero(instance.mask)
            width, height = xs.max() - xs.min() + 1, ys.max() - ys.min() + 1
            assert annotation["bbox"] == [xs.min(), ys.min(), width, height]
            assert annotation["area"] == instance.mask.sum()
            assert annotation["category_id"] == instance.label + 1
            assert annotation["iscrowd"] == int(instance.is_crowd)
            # As in COCO's own files: plain run lengths for a crowd, which pycocotools decodes too.
            assert isinstance(
                annotation["segmentation"]["counts"], list if instance.is_crowd else str
            )
            kinds.add(instance.is_crowd)
    assert kinds == {True, False}


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(32, 120),
    width=st.integers(32, 120),
    most=st.integers(1, 12),
    crowd=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_visible_masks_are_disjoint_and_large_enough(height, width, most, crowd, seed):
    config = ShapesConfig(1, height, width, (1, most), crowd_fraction=0.9 * crowd, seed=seed)
    image, instances = render_image(np.random.default_rng(seed), config)
    assert image.shape == (height, width, 3) and image.dtype == np.uint8
    assert len(instances) <= most + 1
    masks = np.array([i.mask for i in instances], int).reshape(-1, height, width)
    assert masks.sum(axis=0).max(initial=0) <= 1
    for instance in instances:
        visible = instance.mask.sum()
        assert visible <= instance.full_area
        if not instance.is_crowd:
            assert visible >= MIN_VISIBLE_PIXELS
            assert visible >= MIN_VISIBLE_FRACTION * instance.full_area


def test_objects_differ_from_the_background_and_nothing_else_is_drawn():
    config = ShapesConfig(1, crowd_fraction=0.0, empty_fraction=0.0)
    contrasts = []
    for image, instances in render_many(config, 20):
        pixels = image.astype(float)
        background = ~np.any([i.mask for i in instances], axis=0)
        # The background is grey: an unannotated vivid object would show as saturated pixels.
        spread = pixels.max(axis=2) - pixels.min(axis=2)
        assert np.quantile(spread[background], 0.999) < 0.3 * 0.65 * 255 + 8 * 4.0
        contrasts += [
            np.abs(pixels[i.mask].mean(axis=0) - pixels[background].mean(axis=0)).max()
            for i in instances
        ]
    assert np.quantile(contrasts, 0.05) > 25


def test_many_objects_are_partly_covered():
    instances = [i for _, found in render_many(ShapesConfig(1)) for i in found]
    covered = [i.mask.sum() < i.full_area for i in instances if not i.is_crowd]
    assert len(covered) > 150
    assert np.mean(covered) > 0.25


def test_every_class_is_about_as_frequent():
    config = ShapesConfig(1, crowd_fraction=0.0)
    labels = [i.label for _, found in render_many(config, 150) for i in found]
    shares = np.bincount(labels, minlength=len(SHAPE_CLASSES)) / len(labels)
    assert shares.min() > 0.17 and shares.max() < 0.33


def test_empty_images_and_crowds_are_as_frequent_as_asked_for():
    # About 1/4 and 1/2 of 200 draws, within four standard deviations.
    config = ShapesConfig(1, 32, 32, (1, 1), empty_fraction=0.25, crowd_fraction=0.5)
    found = [instances for _, instances in render_many(config, 200)]
    assert abs(sum(not instances for instances in found) - 50) < 25
    assert abs(sum(any(i.is_crowd for i in instances) for instances in found) - 100) < 28


@pytest.mark.parametrize(("fraction", "images"), [(0.0, 0), (1.0, 12)])
def test_fractions_of_0_and_1_are_exact(fraction, images):
    config = ShapesConfig(1, 48, 48, empty_fraction=fraction, crowd_fraction=0.0)
    assert sum(not found for _, found in render_many(config, 12)) == images
    config = ShapesConfig(1, 48, 48, empty_fraction=0.0, crowd_fraction=fraction)
    crowds = sum(any(i.is_crowd for i in found) for _, found in render_many(config, 12))
    assert crowds == images


def test_a_crowd_has_many_parts():
    config = ShapesConfig(1, empty_fraction=0.0, crowd_fraction=1.0)
    for _, instances in render_many(config, 10):
        (crowd,) = [i for i in instances if i.is_crowd]
        assert SHAPE_CLASSES[crowd.label] == "ellipse"
        assert cv2.connectedComponents(crowd.mask.astype(np.uint8))[0] - 1 >= 4


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("size", [24, 60, 90])
def test_geometry_tells_the_class(seed, size):
    def draw(name):
        rng = np.random.default_rng(seed)
        return draw_shape(rng, name, center=np.array([80.0, 80.0]), size=size, canvas=(160, 160))

    for name in SHAPE_CLASSES:
        mask = draw(name)
        parts, _ = cv2.connectedComponents(mask.astype(np.uint8))
        holes, _ = cv2.connectedComponents((~mask).astype(np.uint8), connectivity=4)
        assert parts == 2, name  # the background counts as one
        assert (holes > 2) == (name == "ring"), name
    assert solidity(draw("ellipse")) > 0.95
    area, length = draw("bar").sum(), size * 0.65
    assert area / length < 0.45 * size  # much longer than thick


def test_an_unknown_class_is_refused():
    with pytest.raises(ValueError, match=r"'star' is unknown: choose one of \('ellipse'"):
        rng = np.random.default_rng(0)
        draw_shape(rng, "star", center=np.zeros(2), size=20, canvas=(64, 64))


def test_an_interrupted_run_leaves_no_annotations(tmp_path, monkeypatch):
    path = write_coco_shapes(tmp_path, "train", SMALL)
    assert json.loads(path.read_text())["images"]
    calls = []

    def fail_later(rng, config):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return render_image(rng, config)

    monkeypatch.setattr(shapes_module, "render_image", fail_later)
    with pytest.raises(KeyboardInterrupt):
        write_coco_shapes(tmp_path, "train", SMALL)
    assert list((tmp_path / "annotations").iterdir()) == []


def test_annotations_that_cannot_be_written_leave_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_coco_shapes(tmp_path, "train", SMALL)
    assert list((tmp_path / "annotations").iterdir()) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_images": 0}, "num_images=0 must be at least 1"),
        ({"height": 31}, "31 x 160 pixels are too small"),
        ({"objects": (0, 3)}, r"objects=\(0, 3\).*empty_fraction"),
        ({"objects": (4, 3)}, r"objects=\(4, 3\)"),
        ({"sizes": (0.5, 1.2)}, r"sizes=\(0.5, 1.2\)"),
        ({"empty_fraction": 0.7, "crowd_fraction": 0.4}, "their sum not greater than 1"),
        ({"crowd_fraction": -0.1}, "must not be negative"),
        ({"seed": -1}, "seed=-1 must be 0 or greater"),
    ],
)
def test_values_without_sense_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        ShapesConfig(**{"num_images": 1, **values})


def test_places_without_sense_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file: name a folder"):
        write_coco_shapes(tmp_path / "file", "train", SMALL)
    with pytest.raises(ValueError, match="must be a plain folder name"):
        write_coco_shapes(tmp_path, "a/b", SMALL)


def test_mmdetection_loads_the_data_set(tmp_path):
    config = ShapesConfig(num_images=12, empty_fraction=0.2, crowd_fraction=0.3)
    path = write_coco_shapes(tmp_path, "train", config)
    dataset = CocoDataset(
        ann_file=str(path),
        data_prefix={"img": str(tmp_path / "train")},
        metainfo={"classes": SHAPE_CLASSES},
        pipeline=[
            LoadImageFromFile(),
            LoadAnnotations(with_bbox=True, with_mask=True),
        ],
        test_mode=True,
    )
    coco = COCO(path)
    assert len(dataset) == 12
    for loaded in dataset:
        annotations = coco.loadAnns(coco.getAnnIds(loaded["img_id"]))
        masks = loaded["gt_masks"].to_ndarray()
        assert len(masks) == len(annotations)
        assert loaded["img"].shape == (160, 160, 3)
        for annotation, mask in zip(annotations, masks, strict=True):
            assert np.array_equal(mask, coco.annToMask(annotation))
        assert loaded["gt_ignore_flags"].tolist() == [bool(a["iscrowd"]) for a in annotations]
