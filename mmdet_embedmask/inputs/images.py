"""Images and classes by name: a folder, one file, a COCO file, or the config's own data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
from mmcv.transforms import Compose
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from numpy.typing import NDArray

from ..checks.dataset import load_by_classes
from ..data.coco_dataset import CocoDatasetByName
from .image_files import image_files
from .reading import plain_pipeline


@dataclass(frozen=True, kw_only=True)
class ImageSource:
    """Images by position, as a network input and with what is known of them.

    It can stand for a data set in `rows.dataset_row`.

    Args:
        size: how many images.
        get_data_info: as MMDetection's data sets have; gives ``img_path`` and ``instances``.
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


def open_images(
    config: Config,
    *,
    images: Path | None = None,
    coco: Path | None = None,
    image_root: Path | None = None,
) -> ImageSource:
    """Open the images that were asked for.

    Args:
        config: gives test pipeline and class names, and the images where no others are named.
        images: a folder of images, or one image.
        coco: an annotation file in COCO's format.
        image_root: the folder of its images.

    Returns:
        At least one image.

    Raises:
        ValueError: with cause and cure, if there is none.
    """
    names = config_class_names(config)
    pipeline = plain_pipeline(config)
    if images is not None:
        paths = image_files(images)
        infos = [dict(img_path=str(path), img_id=i, instances=[]) for i, path in enumerate(paths)]
        return ImageSource(
            size=len(infos),
            get_data_info=infos.__getitem__,
            pipeline=pipeline,
            class_names=names,
            annotated=False,
        )
    dataset = config_dataset(config) if coco is None else _coco_dataset(coco, image_root, names)
    if not len(dataset):
        raise ValueError(f"{coco or 'the test data set of the config'} holds no image")
    return ImageSource(
        size=len(dataset),
        get_data_info=dataset.get_data_info,
        pipeline=pipeline,
        class_names=names,
        annotated=True,
    )


def spread_indices(length: int, number: int) -> list[int]:
    """At most ``number`` indices spread evenly over a data set of the given length."""
    spread = np.linspace(0, length - 1, min(length, number)).round().astype(int)
    indices: list[int] = np.unique(spread).tolist()
    return indices


def config_class_names(config: Config) -> tuple[str, ...]:
    """Class names of the config's test data, whose files need not exist; sets its scope."""
    init_default_scope(config.get("default_scope", "mmdet"))
    dataset = DATASETS.build({**config.test_dataloader.dataset, "lazy_init": True})
    return tuple(dataset.metainfo["classes"])


def config_dataset(config: Config) -> Any:
    """The test data set of a config.

    Raises:
        ValueError: if it cannot be opened, or its labels do not go by its classes.
    """
    try:
        dataset = DATASETS.build({**config.test_dataloader.dataset, "lazy_init": True})
        load_by_classes(dataset)
        return dataset
    except (FileNotFoundError, ValueError) as error:
        raise ValueError(
            f"the test data set of the config cannot be opened ({error}): give --images or --coco, "
            "or correct its paths, for instance --cfg-options test_dataloader.dataset.data_root=DIR"
        ) from error


def _coco_dataset(path: Path, image_root: Path | None, names: tuple[str, ...]) -> CocoDatasetByName:
    return CocoDatasetByName(
        ann_file=str(path),
        data_prefix=dict(img=str(image_root or path.parent)),
        metainfo=dict(classes=names),
        test_mode=True,
    )
