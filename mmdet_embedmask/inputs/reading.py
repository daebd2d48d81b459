"""How a config's test pipeline reads images: all of it, or the reader and the rest apart."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import Compose
from mmdet.registry import TRANSFORMS
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from numpy.typing import NDArray

from ..checks.image_file import image_problem


def plain_pipeline(config: Config) -> Compose:
    """The config's test pipeline without what loads annotations, which a plain image lacks."""
    return Compose(plain_transforms(config))


def plain_transforms(config: Config) -> list[dict[str, Any]]:
    """The configs of `plain_pipeline`'s transforms; not to be changed."""
    transforms = get_test_pipeline_cfg(config)
    return [t for t in transforms if "Annotations" not in _transform_name(t)]


def _transform_name(transform: dict[str, Any]) -> str:
    """Name of a transform's class, whose config gives it as a string or as the class itself."""
    return getattr(transform["type"], "__name__", str(transform["type"]))


class UnreadableImageError(Exception):
    """A file that is no image; its text says why."""


class ImageReader:
    """Reads images as the test pipeline does: with its settings, so upright (EXIF) by default.

    The network and the drawing get the same array, whatever else is in the file.

    Args:
        transform: config of the pipeline's LoadImageFromFile.
    """

    def __init__(self, transform: dict[str, Any]) -> None:
        self.load = TRANSFORMS.build(deepcopy(transform))

    def __call__(self, path: Path) -> NDArray[Any]:
        """Read a file.

        Returns:
            (H, W, 3) in blue, green, red, uint8 unless the config sets otherwise.

        Raises:
            UnreadableImageError: if it cannot be read.
        """
        if problem := image_problem(path):
            raise UnreadableImageError(problem)
        try:
            image: NDArray[Any] = self.load(dict(img_path=str(path)))["img"]
        # MMCV asserts that there is an image; decoders have errors of their own.
        except (AssertionError, cv2.error, OSError, ValueError) as error:
            raise UnreadableImageError("cannot be decoded") from error
        return image


def split_pipeline(config: Config) -> tuple[ImageReader, Compose]:
    """The config's test pipeline in two: reading a file, and all that follows.

    Returns:
        The reader, and the pipeline of ``dict(img=array, img_id=number)``.

    Raises:
        ValueError: if the pipeline does not begin by reading an image file.
    """
    first, *rest = plain_transforms(config)
    if _transform_name(first).rpartition(".")[2] != "LoadImageFromFile":
        raise ValueError(
            f"the config's test pipeline begins with {_transform_name(first)}, but images are read "
            "from files: it must begin with LoadImageFromFile"
        )
    loader = dict(type="mmdet.LoadImageFromNDArray", to_float32=first.get("to_float32", False))
    return ImageReader(first), Compose([loader, *deepcopy(rest)])


def displayable(image: NDArray[Any]) -> NDArray[np.uint8]:
    """A copy that can be drawn on: (H, W, 3) uint8 in blue, green, red.

    Args:
        image: (H, W) or (H, W, C) with values from 0 to 255.
    """
    picture = np.clip(image, 0, 255).astype(np.uint8)
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR).astype(np.uint8)
    return np.array(picture[..., :3], order="C")
