"""Images and classes by name: a folder, one file, a COCO file, or the config's own data."""

from pathlib import Path
from typing import Any

from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from ..checks.dataset import load_by_classes
from ..data.coco_dataset import CocoDatasetByName
from .image_source import ImageSource, plain_pipeline

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def open_images(
    config: Config,
    images: Path | None = None,
    coco: Path | None = None,
    image_root: Path | None = None,
) -> ImageSource:
    """Open the images that were asked for.

    Args:
        config: gives the test pipeline, the class names, and the data where nothing else does.
        images: a folder of images, or one image.
        coco: an annotation file in COCO's format.
        image_root: the folder of its images.

    Returns:
        At least one image.

    Raises:
        ValueError: with cause and cure, if there is none.
    """
    names = class_names(config)
    pipeline = plain_pipeline(config)
    if images is not None:
        paths = image_files(images)
        infos = [dict(img_path=str(path), img_id=i, instances=[]) for i, path in enumerate(paths)]
        return ImageSource(len(infos), infos.__getitem__, pipeline, names, annotated=False)
    dataset = config_dataset(config) if coco is None else _coco_dataset(coco, image_root, names)
    if not len(dataset):
        raise ValueError(f"{coco or 'the test data set of the config'} holds no image")
    return ImageSource(len(dataset), dataset.get_data_info, pipeline, names, annotated=True)


def image_files(path: Path) -> list[Path]:
    """The images of a folder by name, or the one image.

    Raises:
        ValueError: if there is none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ValueError(f"{path} does not exist: give a folder of images, or an image")
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(
            f"there are no images in {path}: it must hold files that end in {', '.join(SUFFIXES)} "
            "(folders inside it are not searched)"
        )
    return files


def class_names(config: Config) -> tuple[str, ...]:
    """Class names of the config's test data, which need not be there; its scope is set."""
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
