import cv2
import numpy as np
import pytest
from demo_model import demo_config
from PIL import Image

from mmdet_embedmask.inputs.reading import (
    ImageReader,
    UnreadableImageError,
    displayable,
    plain_pipeline,
    split_pipeline,
)

# How an image must be stored for each EXIF orientation to show it upright.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a),
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: np.rot90(a, -1),
}


@pytest.fixture
def read():
    return ImageReader(dict(type="LoadImageFromFile"))


def quarters(height=32, width=48):
    """Red, green, blue and white quarters, in red, green, blue order."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2, 0] = 255
    image[: height // 2, width // 2 :, 1] = 255
    image[height // 2 :, : width // 2, 2] = 255
    image[height // 2 :, width // 2 :] = 255
    return image


def write_oriented(path, orientation, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    stored.save(path, exif=exif, quality=95, subsampling=0)
    return path


@pytest.mark.parametrize("orientation", STORED)
def test_photos_are_turned_upright(tmp_path, read, orientation):
    image = read(write_oriented(tmp_path / "photo.jpg", orientation, quarters()))
    assert image.shape == (32, 48, 3)
    assert np.abs(image[..., ::-1].astype(int) - quarters()).max() < 30


def test_a_config_that_ignores_the_orientation_is_obeyed(tmp_path):
    read = ImageReader(dict(type="LoadImageFromFile", color_type="color_ignore_orientation"))
    assert read(write_oriented(tmp_path / "photo.jpg", 6, quarters())).shape == (48, 32, 3)


def test_grey_transparent_palette_and_16_bit_files_become_three_channels_of_8_bits(tmp_path, read):
    grey = np.arange(32 * 48).reshape(32, 48)
    Image.fromarray((grey % 256).astype(np.uint8)).save(tmp_path / "grey.png")
    image = read(tmp_path / "grey.png")
    assert image.shape == (32, 48, 3) and (image == (grey % 256)[..., None]).all()

    alpha = np.full((32, 48, 1), 100, np.uint8)
    Image.fromarray(np.concatenate([quarters(), alpha], axis=2)).save(tmp_path / "rgba.png")
    assert np.array_equal(read(tmp_path / "rgba.png"), quarters()[..., ::-1])

    Image.fromarray(quarters()).quantize(8).save(tmp_path / "palette.png")
    assert np.array_equal(read(tmp_path / "palette.png"), quarters()[..., ::-1])

    cv2.imwrite(str(tmp_path / "deep.png"), (grey * 40).astype(np.uint16))
    image = read(tmp_path / "deep.png")  # the high byte, as in training
    assert image.dtype == np.uint8 and (image == (grey * 40 >> 8)[..., None]).all()


def test_what_cannot_be_decoded_is_said(tmp_path, read):
    png = cv2.imencode(".png", quarters())[1].tobytes()
    for name, content, reason in (
        ("cut.png", png[: len(png) // 2], "incomplete PNG"),
        ("text.jpg", b"hello", "is not an image that OpenCV reads"),
        ("empty.jpg", b"", "is empty"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableImageError, match=reason):
            read(tmp_path / name)
    cv2.imwrite(str(tmp_path / "float.tif"), np.random.rand(8, 8).astype(np.float32))
    with pytest.raises(UnreadableImageError, match="cannot be decoded"):
        read(tmp_path / "float.tif")


@pytest.mark.parametrize("error", [AssertionError, OSError, ValueError, cv2.error])
def test_an_error_of_the_decoder_is_that_of_the_file(tmp_path, read, error):
    def fail(results):
        raise error("of the decoder")

    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", quarters())[1].tobytes())
    read.load = fail
    with pytest.raises(UnreadableImageError, match="^cannot be decoded$"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("to_float32", [False, True])
def test_reading_and_the_rest_are_the_pipeline(tmp_path, to_float32):
    path = write_oriented(tmp_path / "photo.jpg", 8, quarters())
    config = demo_config()
    loader = "LoadImageFromFile" if to_float32 else "mmcv.LoadImageFromFile"
    config.test_dataloader.dataset.pipeline[0].update(type=loader, to_float32=to_float32)
    read, rest = split_pipeline(config)
    whole = plain_pipeline(config)(dict(img_path=str(path), img_id=0))
    # A video's frame comes as uint8, whatever the config makes of files.
    for image in (read(path), read(path).astype(np.uint8)):
        parts = rest(dict(img=image, img_id=0))
        assert parts["inputs"].dtype == whole["inputs"].dtype
        assert np.array_equal(parts["inputs"], whole["inputs"])
        for name in ("ori_shape", "img_shape", "scale_factor"):
            assert parts["data_samples"].metainfo[name] == whole["data_samples"].metainfo[name]


def test_a_pipeline_of_another_start_is_refused():
    config = demo_config()
    config.test_dataloader.dataset.pipeline[0] = dict(type="LoadPanopticAnything")
    with pytest.raises(ValueError, match="begins with LoadPanopticAnything"):
        split_pipeline(config)


def test_a_displayable_copy_has_three_channels_of_8_bits():
    assert displayable(np.full((2, 3), 300.0)).tolist() == [[[255] * 3] * 3] * 2
    image = quarters()
    copy = displayable(image)
    copy[:] = 7
    assert np.array_equal(image, quarters())
    transparent = displayable(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    assert transparent[0].tolist() == [[0, 1, 2], [4, 5, 6], [8, 9, 10]]
    # OpenCV draws into no other.
    assert transparent.shape == (2, 3, 3) and transparent.flags.c_contiguous
