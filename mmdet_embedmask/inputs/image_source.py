"""Images by position, through a config's test pipeline."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
from mmcv.transforms import Compose
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from numpy.typing import NDArray


@dataclass(frozen=True)
class ImageSource:
    """Images by position, as a network input and with what is known of them.

    Has what `sheet_rows.dataset_row` asks of a data set.

    Args:
        size: how many images.
        get_data_info: ``img_path`` and ``instances`` of an image, as MMDetection's data sets.
        pipeline: the config's test pipeline without what loads annotations.
        class_names: name of every label.
        annotated: whether there is ground truth.
    """

    size: int
    get_data_info: Callable[[int], dict[str, Any]]
    pipeline: Compose
    class_names: tuple[str, ...]
    annotated: bool

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Any:
        """The image as the test pipeline gives it."""
        info = self.get_data_info(index)
        return self.pipeline(dict(img_path=info["img_path"], img_id=info.get("img_id", index)))

    def batch(self, index: int) -> Any:
        """The image alone, as a data loader gives it."""
        return pseudo_collate([self[index]])

    def path(self, index: int) -> Path:
        """The file of an image."""
        return Path(self.get_data_info(index)["img_path"])

    def image(self, index: int) -> NDArray[np.uint8]:
        """The image (H, W, 3) in blue, green, red, at its original size."""
        image: NDArray[np.uint8] = mmcv.imread(str(self.path(index)))
        return image

    def through(self, config: Config) -> "ImageSource":
        """The same images through another config's pipeline."""
        return replace(self, pipeline=plain_pipeline(config))

    def check(self, indices: Sequence[int]) -> None:
        """Check that images can be read.

        Raises:
            ValueError: naming the first that cannot.
        """
        for index in indices:
            path = self.path(index)
            if not path.is_file():
                raise ValueError(
                    f"the image {path} does not exist: check the folder of the images "
                    "(--image-root, or data_prefix of the config's data set)"
                )
            if not cv2.haveImageReader(str(path)):
                raise ValueError(
                    f"{path} is not an image that OpenCV can read: remove or repair it"
                )


def plain_pipeline(config: Config) -> Compose:
    """The config's test pipeline without what loads annotations, which a plain image lacks."""
    return Compose(plain_transforms(config))


def plain_transforms(config: Config) -> list[dict[str, Any]]:
    """The configs of `plain_pipeline`'s transforms; not to be changed."""
    transforms = get_test_pipeline_cfg(config)
    return [t for t in transforms if "Annotations" not in transform_name(t)]


def transform_name(transform: dict[str, Any]) -> str:
    """Name of a transform's class, whose config gives it as a string or as the class itself."""
    return getattr(transform["type"], "__name__", str(transform["type"]))
