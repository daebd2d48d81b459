"""Frames of a video file or a webcam."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WEBCAM_FPS = 25.0
"""Frames a second where a source does not say."""


class VideoSource(AbstractContextManager["VideoSource"]):
    """A video file or a webcam.

    Args:
        source: a file, or the number of a webcam.

    Attributes:
        fps: frames a second; WEBCAM_FPS if the source does not say.
        num_frames: as the file says; None if it does not, or for a webcam.
        frames_read: how many frames were taken from it.

    Raises:
        ValueError: if it cannot be opened.
    """

    def __init__(self, source: str) -> None:
        is_file = Path(source).exists()
        if not is_file and not source.isdigit():
            raise ValueError(
                f"{source} does not exist: give a video file, or the number of a webcam"
            )
        self._capture = cv2.VideoCapture(source if is_file else int(source))
        if not self._capture.isOpened():
            kind = "is not a video that OpenCV can read" if is_file else "is no webcam that opens"
            raise ValueError(f"{source} {kind}")
        fps, count = (
            self._capture.get(name) for name in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT)
        )
        self.fps = fps if math.isfinite(fps) and fps > 0 else WEBCAM_FPS
        self.num_frames = int(count) if is_file and count > 0 else None
        self.frames_read = 0

    def frames(self, every: int = 1) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Read on to the end.

        Args:
            every: take every n-th frame; the others are not decoded where that can be avoided.

        Yields:
            Position from 0 in the source, and the frame (H, W, 3) in blue, green, red.
        """
        while self._capture.grab():
            index = self.frames_read
            self.frames_read += 1
            if index % every:
                continue
            decoded, frame = self._capture.retrieve()
            if not decoded:
                return
            yield index, np.asarray(frame, np.uint8)

    def __exit__(self, *_: object) -> None:
        self._capture.release()
