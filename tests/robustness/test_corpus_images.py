"""Faulty and unusual image files, from the file to the loss: the tables name all cases."""

import io

import cv2
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
    quick_runner,
    run_config,
    trained,
    training_sample,
    write_data,
    write_image,
)
from PIL import Image
from tiny import TEST_CFG

PNG, JPEG = encoded(PIXELS), encoded(PIXELS, "JPEG")
GREY, ALPHA = PIXELS[..., 0], PIXELS[..., 1]
DEEP = np.array([[0, 255, 256, 65535] * 16] * 48, np.uint16)
TURNED = Image.Exif()
TURNED[0x0112] = 6

REFUSED = {
    # name: (file name, content, size in the annotation file, message)
    "truncated JPEG": ("a.jpg", JPEG[: len(JPEG) // 2], SIZE, "incomplete JPEG.*a.jpg"),
    "JPEG without its last bytes": ("a.jpg", JPEG[:-2], SIZE, "incomplete JPEG"),
    "truncated PNG": ("a.png", PNG[: len(PNG) // 2], SIZE, "incomplete PNG"),
    "empty file": ("a.png", b"", SIZE, "an image is empty"),
    "text named .jpg": ("a.jpg", b"Not found\n", SIZE, "not an image that OpenCV reads"),
    "missing file": ("a.png", None, SIZE, "an image is missing"),
    "wrong size": ("a.png", PNG, (48, 65), "loaded 64 x 48, file says 65 x 48"),
    "exchanged size": ("a.png", PNG, (64, 48), "turned by EXIF data"),
    "EXIF turned, annotated unturned": (
        "a.jpg",
        encoded(PIXELS, "JPEG", exif=TURNED),
        SIZE,
        "loaded 48 x 64, file says 64 x 48",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_faulty_image_is_refused_before_the_first_iteration(tmp_path, name):
    file_name, content, size, message = REFUSED[name]
    root = write_image(tmp_path / "data", file_name, content or b"", size)
    if content is None:
        (root / "train" / file_name).unlink()
    runner = quick_runner(run_config(root))
    with pytest.raises(
        ValueError, match=f"(?s)CocoDatasetByName .*instances_train.json.*{message}"
    ):
        runner.train()
    assert "train/loss" not in runner.message_hub.log_scalars


def test_the_check_of_images_can_be_turned_off(tmp_path):
    root = write_image(tmp_path / "data", "a.png", PNG, (48, 65))
    trained(root, custom_hooks=[dict(type="SetupCheckHook", check_images=False)])


def grey(pixels):
    return np.repeat(pixels[..., None], 3, axis=2)


def png16(pixels) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def palette() -> bytes:
    image = Image.fromarray((GREY // 64).astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


COLOURS = np.array([[0, 0, 0], [0, 0, 255], [0, 255, 0], [255, 0, 0]], np.uint8)  # BGR
BGR = PIXELS[..., ::-1]
LOADED = {
    # name: (file name, content, blue-green-red pixels that training must see)
    "grey PNG": ("a.png", encoded(GREY), grey(GREY)),
    "grey and alpha PNG": ("a.png", encoded(np.dstack([GREY, ALPHA])), grey(GREY)),
    "RGBA PNG": ("a.png", encoded(np.dstack([PIXELS, ALPHA])), BGR),
    "16-bit grey PNG": ("a.png", png16(DEEP), grey((DEEP >> 8).astype(np.uint8))),
    "16-bit colour PNG": (
        "a.png",
        png16(np.dstack([DEEP, DEEP[::-1, ::-1], DEEP])),
        np.dstack([DEEP >> 8, DEEP[::-1, ::-1] >> 8, DEEP >> 8]).astype(np.uint8),
    ),
    "palette PNG": ("a.png", palette(), COLOURS[GREY // 64]),
    "PNG named .jpg": ("a.jpg", PNG, BGR),
    "upper-case suffix": ("A.PNG", PNG, BGR),
    "name with a space and umlauts": ("größe 1 日本.png", PNG, BGR),
    "name with a quote and a comma": ("it's, a #1 %20.png", PNG, BGR),
    "data behind the end": ("a.png", PNG + bytes(8192), BGR),
    "BMP": ("a.bmp", encoded(PIXELS, "BMP"), BGR),
}


@pytest.mark.parametrize("name", LOADED)
def test_training_sees_the_pixels_of_an_unusual_image_file(tmp_path, name):
    file_name, content, pixels = LOADED[name]
    root = write_image(tmp_path / "data", file_name, content)
    image, sample = training_sample(root)
    assert np.array_equal(image, pixels)
    assert sample.gt_instances.masks.masks.sum() == 24 * 32
    trained(root)


def test_an_image_in_a_folder_of_its_own_is_read(tmp_path):
    root = write_data(
        tmp_path / "data",
        {},
        coco_content([image_entry("x/a.png")], [box_annotation(4, 4, 20, 20)]),
    )
    (root / "train" / "x").mkdir()
    (root / "train" / "x" / "a.png").write_bytes(PNG)
    assert np.array_equal(training_sample(root)[0], BGR)


def test_a_jpeg_turned_by_exif_fits_its_upright_annotation(tmp_path):
    # Left half dark, right half bright; turned by 90 degrees clockwise the upper half is dark.
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[:, 32:] = 255
    content = encoded(pixels, "JPEG", exif=TURNED, quality=95)
    annotation = box_annotation(0, 32, 48, 32)  # the lower half
    entry = image_entry("a.jpg", (64, 48))
    root = write_data(tmp_path / "data", {"a.jpg": content}, coco_content([entry], [annotation]))
    image, sample = training_sample(root)
    (mask,) = sample.gt_instances.masks.masks.astype(bool)
    assert image.shape == (64, 48, 3)
    assert image[mask].min() > 200 and image[~mask].max() < 50
    trained(root)


KEEP_RATIO = dict(type="Resize", scale=(1333, 800), keep_ratio=True)
SHAPES = {
    # name: (height, width), pipeline's resizing, padded network input
    "two pixels": ((2, 2), None, (32, 32)),
    "two pixels, resized": ((2, 2), KEEP_RATIO, (800, 800)),
    "8000 wide": ((16, 8000), None, (32, 8000)),
    "8000 wide, resized": ((16, 8000), KEEP_RATIO, (32, 1344)),
    "8000 high, resized": ((8000, 16), KEEP_RATIO, (1344, 32)),
}


def _resized(cfg, resize):
    if resize is not None:
        for loader in (cfg.train_dataloader, cfg.val_dataloader):
            image, *rest = loader.dataset.pipeline
            # Annotations are loaded at the size of the file.
            load = next(t for t in rest if t.type == "LoadAnnotations")
            rest = [t for t in rest if t.type not in ("LoadAnnotations", "Resize")]
            loader.dataset.pipeline = [image, load, resize, *rest]
    return cfg


def assert_inside(found, size):
    assert found.masks.shape == (len(found), *size)
    assert found.scores.isfinite().all() and (found.bboxes >= 0).all()
    assert (found.bboxes[:, 2:].numpy() <= np.array(size[::-1]) + 1e-3).all()


def write_noise(root, size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    return write_image(root, "a.png", encoded(pixels), size)


@pytest.mark.parametrize("name", SHAPES)
def test_images_of_extreme_shapes_are_trained_on_and_predicted(tmp_path, name):
    size, resize, padded = SHAPES[name]
    root = write_noise(tmp_path / "data", size)
    runner = quick_runner(_resized(run_config(root), resize))
    runner.train()
    assert runner.iter == 1
    assert np.isfinite(runner.message_hub.get_scalar("train/loss").current())
    batch = next(iter(runner.train_dataloader))
    inputs = runner.model.data_preprocessor(batch, training=True)["inputs"]
    assert tuple(inputs.shape[2:]) == padded
    # Some boxes of untrained weights are not empty, then.
    runner.model.bbox_head.conv_reg.bias.data.fill_(1)
    (result,) = runner.model.test_step(next(iter(runner.val_dataloader)))
    assert_inside(result.pred_instances, size)
    assert len(result.pred_instances)


@pytest.mark.parametrize("resize", [None, KEEP_RATIO])
@pytest.mark.parametrize("size", [(1, 1), (1, 40)])
def test_one_pixel_is_refused_in_training_and_predicted_on(tmp_path, size, resize):
    root = write_noise(tmp_path / "data", size)
    cfg = _resized(run_config(root), resize)
    with pytest.raises(ValueError, match="one pixel wide or high.*min_size=2"):
        quick_runner(cfg).train()
    runner = quick_runner(cfg)
    runner.model.eval()
    (result,) = runner.model.test_step(next(iter(runner.val_dataloader)))
    assert_inside(result.pred_instances, size)


@pytest.mark.parametrize(
    "resize",
    [
        KEEP_RATIO,
        dict(type="RandomResize", scale=[(1333, 640), (1333, 800)], keep_ratio=True),
        dict(type="RandomChoiceResize", scales=[(1333, 640), (1333, 800)], keep_ratio=True),
    ],
)
def test_an_image_that_resizing_reduces_to_nothing_is_refused(tmp_path, resize):
    root = write_noise(tmp_path / "data", (2, 8000))
    cfg = run_config(root)
    with pytest.raises(ValueError, match="no pixel of its shorter side.*8000 x 2"):
        quick_runner(_resized(cfg, resize)).train()


def test_500_instances_in_one_image_are_all_loaded_and_trained_on(tmp_path):
    side, step = 256, 10
    corners = [(x, y) for y in range(0, 250, step) for x in range(0, 200, step)]
    annotations = [
        box_annotation(x, y, 8, 6, id=n + 1, category_id=1 + n % len(CLASSES))
        for n, (x, y) in enumerate(corners[:500])
    ]
    size = (side, side)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    content = coco_content([image_entry("a.png", size)], annotations)
    root = write_data(tmp_path / "data", {"a.png": encoded(pixels)}, content)
    _, sample = training_sample(root)
    assert len(sample.gt_instances) == 500
    assert (sample.gt_instances.masks.masks.sum(axis=(1, 2)) == 48).all()
    runner = trained(root)
    (result,) = runner.model.test_step(next(iter(runner.val_dataloader)))
    limit = TEST_CFG["max_per_img"]
    assert len(result.pred_instances) == limit
    assert result.pred_instances.masks.shape == (limit, *size)
