"""Predictions for many image files, in batches, one after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

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
        One result a file, in their order but for files that are skipped: those come first.
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
            size = image.shape[0], image.shape[1]
            record = image_record(kept, segmentor.class_names, size, index, path.as_posix())
            yield ImageResult(path, image, record)
