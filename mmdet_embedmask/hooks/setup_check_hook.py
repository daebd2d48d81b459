"""Stops a run before its first iteration where model, pipeline and data do not fit."""

from collections.abc import Iterable, Iterator
from typing import Any

from mmdet.engine.hooks import DetVisualizationHook
from mmdet.evaluation import DumpDetResults
from mmdet.registry import HOOKS
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..data.dataset_check import dataset_name
from ..validation import check_num_classes, check_pad_divisor
from .data_files import check_data_files, check_evaluated_images, check_same_classes
from .unwrapped import unwrapped_model


@HOOKS.register_module()
class SetupCheckHook(Hook):
    """Checks classes, masks and padding before training, and classes before testing.

    What it finds would otherwise be a KeyError in a worker, or hours of training towards an AP of
    zero. All configs of this project include it through ``_base_/embedmask_runtime.py``.

    Args:
        check_images: whether to look at header and end of every image of data sets in COCO's
            format before training and testing. On a slow network disk it may be worth turning off
            once the data have passed (``tools/check_dataset.py``).
    """

    def __init__(self, check_images: bool = True) -> None:
        self.check_images = check_images

    def before_train(self, runner: Runner) -> None:
        """Check the model, and the training and validation data whole.

        Raises:
            ValueError: with both sides and the cure, for the first thing that does not fit.
        """
        model = unwrapped_model(runner)
        check_padding(model)
        learned = list(unwrap_datasets(runner.train_dataloader.dataset))
        for dataset in learned:
            check_classes(model, dataset)
        check_data_files(learned, "train", self.check_images)
        for dataset in learned:
            check_annotations(dataset)
        if runner.val_loop is not None:
            evaluated = list(unwrap_datasets(runner.val_dataloader.dataset))
            check_same_classes(learned, evaluated)
            check_data_files(evaluated, "val", self.check_images)
            check_evaluated_images(evaluated, runner.val_evaluator.metrics)

    def before_val(self, runner: Runner) -> None:
        """Check the classes of the validation data.

        Raises:
            ValueError: if their number differs from the head's.
        """
        self._check_evaluated(runner, runner.val_dataloader.dataset)

    def before_test(self, runner: Runner) -> None:
        """Check the test data, and that the masks' format suits their readers.

        Raises:
            ValueError: if the data cannot be used, the number of classes differs from the head's,
                or masks are run lengths and shall be drawn or dumped.
        """
        self._check_evaluated(runner, runner.test_dataloader.dataset)
        evaluated = list(unwrap_datasets(runner.test_dataloader.dataset))
        check_data_files(evaluated, "test", self.check_images)
        check_evaluated_images(evaluated, runner.test_evaluator.metrics)
        check_mask_format(unwrapped_model(runner), runner.hooks, runner.test_evaluator.metrics)

    def _check_evaluated(self, runner: Runner, dataset: Any) -> None:
        """Check the classes of a dataset that is only predicted on."""
        model = unwrapped_model(runner)
        for part in unwrap_datasets(dataset):
            check_classes(model, part)


def unwrap_datasets(dataset: Any) -> Iterator[BaseDataset]:
    """Yield the datasets inside MMEngine's and MMDetection's wrappers (repeat, concat, ...)."""
    if hasattr(dataset, "datasets"):
        for part in dataset.datasets:
            yield from unwrap_datasets(part)
    elif hasattr(dataset, "dataset"):
        yield from unwrap_datasets(dataset.dataset)
    else:
        yield dataset


def check_padding(model: Any) -> None:
    """Check that the data preprocessor pads images and masks as the targets need it.

    Raises:
        ValueError: if it does not.
    """
    preprocessor = model.data_preprocessor
    if not getattr(preprocessor, "pad_mask", True):
        raise ValueError(
            "data_preprocessor.pad_mask=False leaves masks smaller than the padded images that "
            "EmbedMask learns them on: set data_preprocessor.pad_mask=True"
        )
    check_pad_divisor(getattr(preprocessor, "pad_size_divisor", None), model.mask_head.stride)


def check_classes(model: Any, dataset: BaseDataset) -> None:
    """Check that the box head predicts the classes of the dataset.

    Raises:
        ValueError: if it does not.
    """
    classes = dataset.metainfo.get("classes")
    if classes is not None:
        check_num_classes(model.bbox_head.num_classes, classes, type(dataset).__name__)


def check_mask_format(model: Any, hooks: Iterable[Hook], metrics: Iterable[BaseMetric]) -> None:
    """Check that nothing wants masks as bitmaps if the model gives run lengths.

    Raises:
        ValueError: naming who does.
    """
    if model.mask_head.mask_recipe.mask_format != "rle":
        return
    readers = [hook for hook in hooks if isinstance(hook, DetVisualizationHook) and hook.draw]
    readers += [metric for metric in metrics if isinstance(metric, DumpDetResults)]
    if readers:
        raise ValueError(
            f"{type(readers[0]).__name__} reads masks as bitmaps, but test_cfg.mask_format='rle' "
            "gives run lengths: set model.test_cfg.mask_format='bitmap', or leave out --show, "
            "--show-dir and --out"
        )


def check_annotations(dataset: BaseDataset) -> None:
    """Check that the pipeline loads masks and that every annotation has one that it can read.

    Raises:
        ValueError: if masks are not loaded, are missing, stay undecoded, or nothing is annotated.
    """
    name = dataset_name(dataset)
    loaders = [t for t in dataset.pipeline.transforms if hasattr(t, "with_mask")]
    if not any(loader.with_mask for loader in loaders):
        raise ValueError(
            f"the training pipeline of {name} loads no masks, and EmbedMask learns from masks: "
            "add dict(type='LoadAnnotations', with_bbox=True, with_mask=True)"
        )
    infos = (dataset.get_data_info(index) for index in range(len(dataset)))
    decodes_rle = all(getattr(loader, "poly2mask", True) for loader in loaders)
    if _check_instances(infos, name, decodes_rle) == 0:
        raise ValueError(
            f"{name} has no annotated instance of its classes {dataset.metainfo.get('classes')}: "
            "write the class names in metainfo=dict(classes=...) exactly as in the annotation file"
        )


def _check_instances(infos: Iterable[dict], name: str, decodes_rle: bool) -> int:
    """Check the mask of every instance and count those that are learned."""
    count = 0
    for info in infos:
        for instance in info["instances"]:
            where = f"{name}: image {info.get('img_path', info.get('img_id'))}"
            if "mask" not in instance:
                raise ValueError(
                    f"{where} has an instance with a box but no mask: give it a 'segmentation' "
                    "(polygon or RLE) in the annotation file, or remove it"
                )
            learned = not instance.get("ignore_flag", 0)
            if learned and isinstance(instance["mask"], dict) and not decodes_rle:
                raise ValueError(
                    f"{where} has an RLE mask, which LoadAnnotations(poly2mask=False) drops in "
                    "silence: set poly2mask=True"
                )
            count += learned
    return count
