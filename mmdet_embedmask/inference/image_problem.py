"""What is wrong with an image file."""

import re
from pathlib import Path

import cv2

JPEG_START = b"\xff\xd8\xff"
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
"""Inside the compressed data 0xFF is followed by zero, and restarts are numbered D0 to D7."""

END_OF_IMAGE = 0xD9


def image_problem(path: Path) -> str | None:
    """Why a file cannot be used as an image, or None if it looks whole.

    Data damaged in its middle is not noticed here: the decoder says so or fills what it lacks.

    Args:
        path: a file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not content:
        return "is empty"
    if not cv2.haveImageReader(str(path)):
        return "is not an image that OpenCV knows"
    if content.startswith(JPEG_START) and not _jpeg_is_complete(content):
        return "is cut off: its JPEG data has no end"
    return None


def _jpeg_is_complete(content: bytes) -> bool:
    """Whether the end marker is there.

    Some versions of OpenCV decode a cut-off JPEG and fill the rest with grey. Looking at the last
    two bytes would refuse whole files that other data follows, looking anywhere would take the end
    of the preview inside a header for the end of the image: hence the way from marker to marker.
    """
    position = 2
    while marker := _JPEG_MARKER.search(content, position):
        kind = marker.group(1)[0]
        if kind == END_OF_IMAGE:
            return True
        # Every other segment says its length; compressed data, which does not, follows a scan's.
        position = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2], "big")
    return False
