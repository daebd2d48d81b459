"""Stops a run before its first iteration where model, pipeline and data do not fit."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mmcv.transforms import Compose, Pad
from mmdet.datasets.transforms import MixUp, Mosaic, RandomShift
from mmdet.engine.hooks import DetVisualizationHook, PipelineSwitchHook
from mmdet.evaluation import DumpDetResults
from mmdet.registry import HOOKS
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..checks.dataset import dataset_name
from ..checks.instance import Use
from ..checks.parts import dataset_levels, measured_datasets, tolerated_errors, unwrap_datasets
from ..options import check_num_classes, check_pad_divisor
from .data_files import check_data_files, check_evaluated_images, check_same_classes
from .unwrapped import unwrapped_model

WITHOUT_MASKS = {
    Mosaic: "take CachedMosaic in the data set's own pipeline",
    MixUp: "take CachedMixUp in the data set's own pipeline",
    RandomShift: "take TranslateX and TranslateY",
}
"""Transforms of MMDetection that move boxes but not masks, and what to take instead."""


@HOOKS.register_module()
class SetupCheckHook(Hook):
    """Checks classes, masks and padding before training, and classes before testing.

    What it finds would otherwise be a KeyError in a worker, or hours of training towards an AP of
    zero. All configs of this project include it, most through ``_base_/embedmask_runtime.py``.

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
        check_transforms(runner.train_dataloader.dataset, runner.hooks)
        learned = list(unwrap_datasets(runner.train_dataloader.dataset))
        for dataset in learned:
            check_classes(model, dataset)
        for dataset in learned:
            tolerated = tolerated_errors(dataset, "train", len(learned))
            check_data_files([dataset], "train", self.check_images, tolerated)
        check_annotations(learned)
        if runner.val_loop is not None:
            evaluated = runner.val_dataloader.dataset
            check_same_classes(learned, list(unwrap_datasets(evaluated)))
            check_unpadded(evaluated)
            self._check_measured(evaluated, runner.val_evaluator, "val")
            check_mask_format(model, runner.hooks, runner.val_evaluator.metrics)

    def before_val(self, runner: Runner) -> None:
        """Check classes and pipeline of the validation data, and that masks suit their readers.

        Raises:
            ValueError: if the number of classes differs from the head's, images are padded, or
                masks are run lengths and shall be drawn or dumped.
        """
        self._check_evaluated(runner, runner.val_dataloader.dataset, runner.val_evaluator)

    def before_test(self, runner: Runner) -> None:
        """Check the test data, and that the masks' format suits their readers.

        Raises:
            ValueError: if the data cannot be used, the number of classes differs from the head's,
                images are padded, or masks are run lengths and shall be drawn or dumped.
        """
        self._check_evaluated(runner, runner.test_dataloader.dataset, runner.test_evaluator)
        self._check_measured(runner.test_dataloader.dataset, runner.test_evaluator, "test")

    def _check_evaluated(self, runner: Runner, dataset: Any, evaluator: Evaluator) -> None:
        """Check classes, pipeline and masks of a dataset that is only predicted on."""
        model = unwrapped_model(runner)
        check_unpadded(dataset)
        for part in unwrap_datasets(dataset):
            check_classes(model, part)
        check_mask_format(model, runner.hooks, evaluator.metrics)

    def _check_measured(self, dataset: Any, evaluator: Evaluator, use: Use) -> None:
        """Check the files of a dataset that is predicted on, and what they are measured by."""
        for part, metrics in measured_datasets(dataset, evaluator):
            tolerated = tolerated_errors(part, use, metrics=metrics)
            check_data_files([part], use, self.check_images, tolerated)
            check_evaluated_images([part], metrics)


def check_transforms(dataset: Any, hooks: Iterable[Hook] = ()) -> None:
    """Check that no transform of the training data moves boxes without their masks.

    Args:
        dataset: with its wrappers, which may have pipelines of their own.
        hooks: of the run; a PipelineSwitchHook brings a pipeline for later.

    Raises:
        ValueError: naming the transform and one to take in its place.
    """
    pipelines = _pipelines(dataset)
    switches = [hook for hook in hooks if isinstance(hook, PipelineSwitchHook)]
    pipelines += [Compose(hook.switch_pipeline) for hook in switches]
    for transform in _inner_transforms(pipelines):
        # Not those that inherit and do better, as CachedMosaic.
        if cure := WITHOUT_MASKS.get(type(transform)):
            raise ValueError(
                f"{type(transform).__name__} in the training pipeline changes boxes and leaves "
                f"masks as they are: {cure}, which changes both"
            )


def check_unpadded(dataset: Any) -> None:
    """Check that no transform pads the images that are predicted on.

    Args:
        dataset: with its wrappers, which may have pipelines of their own.

    Raises:
        ValueError: if one does: the padding would count as image, and masks be stretched with it.
    """
    if any(isinstance(transform, Pad) for transform in _inner_transforms(_pipelines(dataset))):
        raise ValueError(
            "Pad in a pipeline for prediction makes the padding a part of the image, and masks are "
            "stretched with it: remove it, the data preprocessor pads with pad_size_divisor=32"
        )


def _pipelines(dataset: Any) -> list[Any]:
    """The pipelines of a dataset and of its wrappers."""
    return [getattr(level, "pipeline", ()) for level in dataset_levels(dataset)]


def _inner_transforms(transforms: Any) -> Iterator[Any]:
    """Yield a transform, or those of a list, and what they hold (RandomChoice and others)."""
    if isinstance(transforms, (list, tuple)):
        for transform in transforms:
            yield from _inner_transforms(transform)
    else:
        yield transforms
        yield from _inner_transforms(getattr(transforms, "transforms", ()))
        yield from _inner_transforms(getattr(transforms, "subroutines", ()))  # of TestTimeAug


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
    check_pad_divisor(getattr(preprocessor, "pad_size_divisor", None))


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
    if model.mask_head.mask_format != "rle":
        return
    readers = [hook for hook in hooks if isinstance(hook, DetVisualizationHook) and hook.draw]
    readers += [metric for metric in metrics if isinstance(metric, DumpDetResults)]
    if readers:
        raise ValueError(
            f"{type(readers[0]).__name__} reads masks as bitmaps, but test_cfg.mask_format='rle' "
            "gives run lengths: set model.test_cfg.mask_format='bitmap', or leave out draw=True, "
            "--show, --show-dir and --out"
        )


def check_annotations(datasets: Sequence[BaseDataset]) -> None:
    """Check that pipelines load masks and that every annotation has one that they can read.

    Args:
        datasets: all that are learned from; some may show background alone.

    Raises:
        ValueError: if masks are not loaded, are missing, stay undecoded, or nothing is annotated.
    """
    if sum(map(_count_learned, datasets)) == 0:
        raise ValueError(
            "there is no annotated instance of the classes "
            f"{datasets[0].metainfo.get('classes')} in "
            f"{' and '.join(map(dataset_name, datasets))}: write the class names in "
            "metainfo=dict(classes=...) exactly as in the annotation file"
        )


def _count_learned(dataset: BaseDataset) -> int:
    """Check the pipeline and all instances of a dataset, and count those that are learned."""
    name = dataset_name(dataset)
    loaders = [t for t in dataset.pipeline.transforms if hasattr(t, "with_mask")]
    if not any(loader.with_mask for loader in loaders):
        raise ValueError(
            f"the training pipeline of {name} loads no masks, and EmbedMask learns from masks: "
            "add dict(type='LoadAnnotations', with_bbox=True, with_mask=True)"
        )
    infos = (dataset.get_data_info(index) for index in range(len(dataset)))
    decodes_rle = all(getattr(loader, "poly2mask", True) for loader in loaders)
    return _check_instances(infos, name, decodes_rle)


def _check_instances(infos: Iterable[dict[str, Any]], name: str, decodes_rle: bool) -> int:
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
