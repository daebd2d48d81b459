"""Videos: frames of a file or a webcam, and the file or window that takes frames."""

import math
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WEBCAM_FPS = 25.0
"""Frames a second where a source does not say."""

CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
"""By suffix; OpenCV's wheels write both without anything else installed."""

QUIT_KEYS = (ord("q"), 27)
"""q and Escape."""


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


def frames_to_come(num_frames: int | None, every: int, max_frames: int | None) -> int | None:
    """How many frames will be predicted; None if the source does not say.

    Args:
        num_frames: of the source.
        every: every n-th is taken, the first one first.
        max_frames: at most so many are taken.
    """
    if num_frames is None:
        return max_frames
    taken = -(-num_frames // every)
    return taken if max_frames is None else min(taken, max_frames)


class VideoFile(AbstractContextManager["VideoFile"]):
    """A video file; the first frame sets its size.

    Codecs store colour for blocks of 2 x 2 pixels: a frame of odd height or width gets its last
    row or column twice, where OpenCV would drop it.

    OpenCV's writer reports no error, not even a full disk. So the context's end reads the file
    again and counts its frames, unless another error ended it.

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
                # All are decoded: a file can claim frames that it does not hold.
                readable = sum(1 for _ in source.frames())
        except ValueError:
            readable = 0
        if readable < self.frames_written:
            raise OSError(
                f"{self.path}: only {readable} of {self.frames_written} frames can be read back: "
                "the disk is full, or may hold no file of this size; free space, or write elsewhere"
            )


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


def show_in_window(title: str, picture: NDArray[np.uint8]) -> bool:
    """Show a picture; False once the user has pressed q or Escape."""
    cv2.imshow(title, picture)
    return cv2.waitKey(1) & 0xFF not in QUIT_KEYS
