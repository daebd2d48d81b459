"""A window that shows pictures."""

import os
import sys

import cv2
import numpy as np
from numpy.typing import NDArray

QUIT_KEYS = (ord("q"), 27)
"""q and Escape."""


def check_display() -> None:
    """Check that a window can be opened, as far as can be told without opening one.

    Raises:
        ValueError: if it cannot. OpenCV would end the whole process.
    """
    shown = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if sys.platform.startswith("linux") and not shown:
        raise ValueError("there is no display here (DISPLAY is not set): write a file instead")
    gui = next((line for line in cv2.getBuildInformation().splitlines() if "GUI:" in line), "")
    if "NONE" in gui:
        raise ValueError(
            "this OpenCV has no windows (opencv-python-headless): install opencv-python, or write "
            "a file instead"
        )


def show(title: str, picture: NDArray[np.uint8]) -> bool:
    """Show a picture; whether the user wants to go on, that is pressed neither q nor Escape."""
    cv2.imshow(title, picture)
    return cv2.waitKey(1) & 0xFF not in QUIT_KEYS
