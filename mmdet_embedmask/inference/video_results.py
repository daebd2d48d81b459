"""Predictions for the frames of a video, one after the other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .coco_results import ImageRecord, image_record
from .predictor import Segmentor


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
        size = frame.shape[0], frame.shape[1]
        yield FrameResult(frame, image_record(kept, segmentor.class_names, size, index, source))


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
