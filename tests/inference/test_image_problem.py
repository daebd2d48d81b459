import io
import os

import cv2
import numpy as np
import pytest
from PIL import Image

from mmdet_embedmask.inference.image_problem import image_problem

NOISE = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)


def jpeg(**options):
    data = io.BytesIO()
    Image.fromarray(NOISE).save(data, "JPEG", **options)
    return data.getvalue()


def problem(tmp_path, content, name="image.jpg"):
    path = tmp_path / name
    path.write_bytes(content)
    return image_problem(path)


@pytest.mark.parametrize("options", [{}, dict(progressive=True), dict(quality=100)])
def test_whole_and_cut_off_jpegs(tmp_path, options):
    whole = jpeg(**options)
    assert problem(tmp_path, whole) is None
    for end in (len(whole) - 1, len(whole) - 2, len(whole) - 40, len(whole) // 2, 30):
        assert problem(tmp_path, whole[:end]) is not None, end
    assert problem(tmp_path, whole[:-2]) == "is cut off: its JPEG data has no end"


def test_a_jpeg_with_data_behind_its_end_is_whole(tmp_path):
    assert problem(tmp_path, jpeg() + bytes(1000)) is None


def test_the_end_of_a_preview_in_the_header_is_not_the_end_of_the_image(tmp_path):
    preview = jpeg(quality=5)
    whole = jpeg()
    segment = b"\xff\xe2" + (len(preview) + 2).to_bytes(2, "big") + preview
    with_preview = whole[:2] + segment + whole[2:]
    assert problem(tmp_path, with_preview) is None
    assert "cut off" in problem(tmp_path, with_preview[: len(with_preview) // 2 + len(preview)])


def test_restart_markers_are_no_end(tmp_path):
    data = cv2.imencode(".jpg", NOISE, [cv2.IMWRITE_JPEG_RST_INTERVAL, 1])[1].tobytes()
    assert b"\xff\xd0" in data
    assert problem(tmp_path, data) is None
    assert "cut off" in problem(tmp_path, data[:-2])


def test_what_is_no_image(tmp_path):
    assert problem(tmp_path, b"") == "is empty"
    assert problem(tmp_path, b"not an image at all") == "is not an image that OpenCV knows"
    assert image_problem(tmp_path / "gone.jpg") == "cannot be read: No such file or directory"


def test_other_formats_are_left_to_the_decoder(tmp_path):
    assert problem(tmp_path, cv2.imencode(".png", NOISE)[1].tobytes(), "a.png") is None


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "secret.jpg"
    path.write_bytes(jpeg())
    path.chmod(0)
    if os.access(path, os.R_OK):  # the superuser may read everything

        def refuse(self):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(type(path), "read_bytes", refuse)
    assert image_problem(path) == "cannot be read: Permission denied"
