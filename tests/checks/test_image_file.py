import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from mmdet_embedmask.checks.image_file import ORIENTATION_TAG, image_problem, loaded_size

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def encoded(kind: str, orientation: int | None = None, **options) -> bytes:
    exif, buffer = Image.Exif(), io.BytesIO()
    if orientation is not None:
        exif[ORIENTATION_TAG] = orientation
    Image.fromarray(PIXELS).save(buffer, kind, exif=exif, **options)
    return buffer.getvalue()


def with_preview(jpeg: bytes) -> bytes:
    """A JPEG that carries a whole small JPEG in its header, as cameras write them."""
    preview = encoded("JPEG", quality=5)
    return jpeg[:2] + b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview + jpeg[2:]


@pytest.mark.parametrize("kind", ["jpeg", "png", "bmp", "webp", "tiff", "ppm"])
def test_whole_images_have_no_problem_and_their_size(tmp_path, kind):
    path = tmp_path / f"größe 1.{kind}"
    Image.fromarray(PIXELS).save(path)
    assert image_problem(path) is None
    assert loaded_size(path) == (40, 60)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_cut_image_is_incomplete(tmp_path, kind, share):
    path, content = tmp_path / f"cut.{kind}", encoded(kind)
    path.write_bytes(content[: int(share * len(content))])
    assert f"incomplete {kind.upper()}" in image_problem(path)


def test_data_behind_the_end_do_no_harm(tmp_path):
    for kind in ("jpeg", "png"):
        path = tmp_path / f"trailer.{kind}"
        path.write_bytes(encoded(kind) + bytes(10_000))
        assert image_problem(path) is None


def test_the_end_of_a_preview_is_not_the_end_of_the_picture(tmp_path):
    path, content = tmp_path / "preview.jpg", with_preview(encoded("JPEG"))
    path.write_bytes(content)
    assert image_problem(path) is None and loaded_size(path) == (40, 60)
    assert cv2.imread(str(path)).shape == (40, 60, 3)
    path.write_bytes(content[:-200])
    assert "incomplete JPEG" in image_problem(path)


@pytest.mark.parametrize(
    "extra",
    [b"\xff", b"\xff" * 2, b"\xff" * 3, b"\xff\xd0", b"\xff\xd7\xff\xd8\xff"],
    ids=bytes.hex,
)
def test_fill_bytes_and_markers_without_a_length_are_passed_over(tmp_path, extra):
    # Before the header's preview, whose end would else be taken for the picture's.
    content = with_preview(encoded("JPEG"))
    path = tmp_path / "filled.jpg"
    path.write_bytes(content[:2] + extra + content[2:])
    assert image_problem(path) is None
    path.write_bytes(content[:2] + extra + content[2:-2])
    assert "incomplete JPEG" in image_problem(path)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_the_loaders(tmp_path, kind, orientation):
    path = tmp_path / f"turned.{kind}"
    path.write_bytes(encoded(kind, orientation))
    content = np.frombuffer(path.read_bytes(), np.uint8)  # as MMCV: imread refuses turned TIFF
    assert loaded_size(path) == cv2.imdecode(content, cv2.IMREAD_COLOR).shape[:2]
    if kind == "jpeg":
        raw = cv2.imdecode(content, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        assert loaded_size(path, use_orientation=False) == raw.shape[:2] == (40, 60)


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "is missing"),
        (b"", "is empty"),
        (b"<html>not found</html>", "not an image that OpenCV reads"),
        (b"\xff\xd8\xff", "incomplete JPEG"),
        (b"\xff\xd8\xff\xda\x00\x02\xff\xd9", "broken header"),
        (b"\x89PNG\r\n\x1a\n" + b"IEND\xae\x42\x60\x82", "broken header"),
        (b"BM", "not an image that OpenCV reads|broken header"),
    ],
)
def test_an_unusable_file_is_told_with_the_cure(tmp_path, content, message):
    path = tmp_path / "image.jpg"
    if content is not None:
        path.write_bytes(content)
    pytest.raises(ValueError, loaded_size, path).match(message)


def test_a_folder_is_no_image(tmp_path):
    assert "is missing" in image_problem(tmp_path)


def test_random_ends_raise_nothing_else(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "random"
    for start in (encoded("JPEG"), encoded("PNG"), b"II*\0", b"BM", b"RIFF\0\0\0\0WEBP", b""):
        for _ in range(20):
            noise = rng.integers(0, 256, 64, dtype=np.uint8).tobytes()
            path.write_bytes(start[: rng.integers(0, 40)] + noise + b"\xff\xd9IEND\xae\x42\x60\x82")
            assert image_problem(path) is None or isinstance(image_problem(path), str)


def test_a_picture_too_large_for_pillow_is_told(tmp_path):
    side = 20000
    header = b"BM" + struct.pack("<IHHI", 54, 0, 0, 54)
    header += struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    path = tmp_path / "large.bmp"
    path.write_bytes(header + bytes(100))
    assert "is too large" in image_problem(path)
