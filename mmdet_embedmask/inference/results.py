"""Predictions for image files in batches, and for the frames of a video one by one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..inputs.reading import UnreadableImageError
from .coco_results import ImageRecord, image_record
from .predictor import Segmentor


@dataclass(frozen=True)
class ImageResult:
    """An image and what was found in it.

    Args:
        path: its file.
        image: (H, W, 3) as it was read.
        record: ``image_id`` is the position of the file.
    """

    path: Path
    image: NDArray[Any]
    record: ImageRecord


@dataclass(frozen=True)
class SkippedFile:
    """A file that is no image.

    Args:
        path: the file.
        reason: "is empty", for instance.
    """

    path: Path
    reason: str


def predict_files(
    segmentor: Segmentor, paths: Sequence[Path], score_thr: float, batch_size: int = 1
) -> Iterator[ImageResult | SkippedFile]:
    """Predict files; one batch of them is in memory at a time.

    Args:
        segmentor: of `open_segmentor`.
        paths: files, images or not.
        score_thr: detections with a lower score are left out.
        batch_size: images in one pass of the model. Smaller images of a batch are padded to the
            largest, which can change their results a little.

    Yields:
        One result a file, in the order of the files; of a batch, the skipped ones come first.
    """
    numbered = iter(enumerate(paths))
    while chunk := list(islice(numbered, batch_size)):
        read: list[tuple[int, Path, NDArray[Any]]] = []
        for index, path in chunk:
            try:
                read.append((index, path, segmentor.read(path)))
            except UnreadableImageError as error:
                yield SkippedFile(path, str(error))
        predicted = segmentor.predict([image for _, _, image in read]) if read else []
        for (index, path, image), instances in zip(read, predicted, strict=True):
            kept = instances[instances.scores >= score_thr]
            record = image_record(
                kept, segmentor.class_names, image.shape, image_id=index, file_name=path.as_posix()
            )
            yield ImageResult(path, image, record)


@dataclass(frozen=True)
class FrameResult:
    """A frame and what was found in it.

    Args:
        frame: (H, W, 3) in blue, green, red.
        record: ``image_id`` is the frame's position in the source, from 0.
    """

    frame: NDArray[np.uint8]
    record: ImageRecord


def predict_frames(
    segmentor: Segmentor,
    frames: Iterable[tuple[int, NDArray[np.uint8]]],
    source: str,
    score_thr: float,
) -> Iterator[FrameResult]:
    """Predict frames as they come.

    Args:
        segmentor: of `open_segmentor`.
        frames: position and frame (H, W, 3).
        source: name of the video.
        score_thr: detections with a lower score are left out.

    Yields:
        One result a frame.
    """
    for index, frame in frames:
        (instances,) = segmentor.predict([frame])
        kept = instances[instances.scores >= score_thr]
        record = image_record(
            kept, segmentor.class_names, frame.shape, image_id=index, file_name=source
        )
        yield FrameResult(frame, record)
