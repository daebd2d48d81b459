"""A video that is written frame by frame."""

from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
"""By suffix; OpenCV's wheels write both without anything else installed."""


class VideoFile:
    """A video file; the first frame sets its size.

    Codecs store two colours a block of 2 x 2 pixels: a frame of odd height or width gets its last
    row or column twice, where OpenCV would drop it.

    Args:
        path: ends in one of CODECS.
        fps: frames a second.

    Raises:
        OSError: from `write`, if the file cannot be written.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.path = path
        self.fps = fps
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

    def __enter__(self) -> "VideoFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.release()
