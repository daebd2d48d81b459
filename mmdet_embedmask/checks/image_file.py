"""Whether an image file can be used, and the size it has when loaded, from its ends alone.

Nothing is decoded: a JPEG or PNG that a download or a full disk cut short lacks its end marker.
Damage in the middle of a complete file is not found.
"""

import warnings
from pathlib import Path
from typing import BinaryIO

import cv2
from PIL import Image, JpegImagePlugin, PngImagePlugin, UnidentifiedImageError

JPEG_START, JPEG_SCAN, JPEG_END = b"\xff\xd8\xff", 0xDA, b"\xff\xd9"
PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xae\x42\x60\x82"
# Markers of a JPEG without a length after them: RST0 to RST7, SOI, and fill bytes.
JPEG_BARE_MARKERS = {*range(0xD0, 0xD9), 0xFF}
TAIL_BYTES = 4096
"""Where an end marker is looked for first: some cameras write data of their own behind it."""
ORIENTATION_TAG = 0x0112
QUARTER_TURNS = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""


def image_problem(path: Path) -> str | None:
    """Why a file cannot be used as an image, with the cure; None if it can.

    Header and end are read, nothing is decoded.
    """
    try:
        loaded_size(path)
    except ValueError as error:
        return str(error)
    return None


def loaded_size(path: Path, use_orientation: bool = True) -> tuple[int, int]:
    """The size that OpenCV gives an image.

    Args:
        path: of the file.
        use_orientation: whether the loader turns images as their EXIF data say, as OpenCV and
            MMCV's ``LoadImageFromFile`` do unless told otherwise.

    Returns:
        (height, width).

    Raises:
        ValueError: with cause and cure, if the file is missing, empty, incomplete or no image that
            OpenCV reads.
    """
    try:
        if not path.is_file():
            raise ValueError("is missing: correct the path, or remove the image from the list")
        if path.stat().st_size == 0:
            raise ValueError("is empty: copy or download it again")
        with path.open("rb") as file:
            return _read_size(file, path, use_orientation)
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror or error})") from error


def _read_size(file: BinaryIO, path: Path, use_orientation: bool) -> tuple[int, int]:
    start = file.read(8)
    if start.startswith(JPEG_START):
        if not _has_end(file, JPEG_END, _jpeg_scan(file)):
            raise ValueError("is an incomplete JPEG (no end marker): copy or download it again")
    elif start == PNG_START and not _has_end(file, PNG_END, len(start)):
        raise ValueError("is an incomplete PNG (no IEND): copy or download it again")
    elif start != PNG_START and not cv2.haveImageReader(str(path)):
        raise ValueError("is not an image that OpenCV reads: convert it to PNG or JPEG")
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pillow's, of images that it finds large
            image = _open(file, start)
            width, height = image.size
            # The base class's method: that of PNG decodes the whole picture in search of EXIF data.
            exif = Image.Image.getexif(image) if use_orientation else {}
            orientation = exif.get(ORIENTATION_TAG, 1)
    except Image.DecompressionBombError as error:
        raise ValueError(f"is too large ({error}): cut or reduce it") from error
    except (OSError, SyntaxError, ValueError, TypeError, UnidentifiedImageError) as error:
        raise ValueError(f"has a broken header ({error}): copy or download it again") from error
    # Pillow has turned a TIFF already.
    turned = orientation in QUARTER_TURNS and image.format != "TIFF"
    return (width, height) if turned else (height, width)


def _open(file: BinaryIO, start: bytes) -> Image.Image:
    """Read the header. `PIL.Image.open` would refuse pictures of more than 179 million pixels."""
    if start.startswith(JPEG_START):
        return JpegImagePlugin.JpegImageFile(file)
    if start == PNG_START:
        return PngImagePlugin.PngImageFile(file)
    return Image.open(file)


def _jpeg_scan(file: BinaryIO) -> int:
    """Where the picture's data begin: a preview in the header has an end marker of its own."""
    position = 2
    while True:
        file.seek(position)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            return position
        if head[1] in JPEG_BARE_MARKERS:
            position += 1 if head[1] == 0xFF else 2
            continue
        position += 2 + int.from_bytes(head[2:], "big")
        if head[1] == JPEG_SCAN:
            return position


def _has_end(file: BinaryIO, marker: bytes, first: int) -> bool:
    """Whether a marker stands near the file's end, or else anywhere from ``first`` on."""
    size = file.seek(0, 2)
    for position in (max(first, size - TAIL_BYTES), first):
        file.seek(min(position, size))
        if marker in file.read():
            return True
    return False
