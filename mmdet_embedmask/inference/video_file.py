"""A video that is written frame by frame."""

from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .video_source import VideoSource

CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
"""By suffix; OpenCV's wheels write both without anything else installed."""


class VideoFile(AbstractContextManager["VideoFile"]):
    """A video file; the first frame sets its size.

    Codecs store two colours a block of 2 x 2 pixels: a frame of odd height or width gets its last
    row or column twice, where OpenCV would drop it.

    OpenCV's writer tells no error, not even of a full disk. So the context's end reads the file
    again and counts its frames, unless it ends by an error anyhow.

    Args:
        path: ends in one of CODECS.
        fps: frames a second.

    Attributes:
        frames_written: how many frames it was given.

    Raises:
        OSError: from `write`, if the file cannot be written; from the context's end, if fewer
            frames can be read from it than were written.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.path = path
        self.fps = fps
        self.frames_written = 0
        self._writer: cv2.VideoWriter | None = None
        self._shape: tuple[int, ...] | None = None

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Add a frame (H, W, 3) in blue, green, red.

        Raises:
            ValueError: if it has another size than the first: OpenCV would drop it in silence.
        """
        if self._writer is None:
            self._shape = frame.shape
            self._writer = self._open(frame.shape)
        if frame.shape != self._shape:
            raise ValueError(f"a frame is {frame.shape}, but the video's first is {self._shape}")
        margins = (0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)
        self._writer.write(np.pad(frame, margins, mode="edge"))
        self.frames_written += 1

    def _open(self, shape: tuple[int, ...]) -> cv2.VideoWriter:
        size = shape[1] + shape[1] % 2, shape[0] + shape[0] % 2
        codec = cv2.VideoWriter.fourcc(*CODECS[self.path.suffix.lower()])
        writer = cv2.VideoWriter(str(self.path), codec, self.fps, size)
        if not writer.isOpened():
            raise OSError(
                f"OpenCV cannot write {self.path} with the codec "
                f"{CODECS[self.path.suffix.lower()]}: check the folder, or take another suffix of "
                f"{', '.join(CODECS)}"
            )
        return writer

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._writer is None:
            return
        self._writer.release()
        # Ctrl-C is an end too: see `named_when_finished`.
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self._check()

    def _check(self) -> None:
        try:
            with VideoSource(str(self.path)) as source:
                # All are decoded: the number that the file says can be written where they are not.
                readable = sum(1 for _ in source.frames())
        except ValueError:
            readable = 0
        if readable < self.frames_written:
            raise OSError(
                f"{self.path}: only {readable} of {self.frames_written} frames can be read back: "
                "the disk is full, or may hold no file of this size; free space, or write elsewhere"
            )
