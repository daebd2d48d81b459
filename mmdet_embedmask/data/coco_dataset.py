"""Data in COCO's format whose labels follow names, and errors that say what is wrong.

MMDetection numbers labels in the order of the annotation file's categories and names them in the
order of ``metainfo['classes']``. Where the two differ, or the file lacks a class, predictions carry
wrong names, and AP is wrong where the files of training and evaluation differ, all without a word.
With the types of this module label k is the k-th class, or the file is refused. For files in the
classes' own order, as COCO's, they do what MMDetection's do.
"""

from collections.abc import Sequence
from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO
from mmdet.evaluation import CocoMetric
from mmdet.registry import DATASETS, METRICS
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric

from ..checks.annotation_file import NO_INSTANCE
from ..checks.box import Use
from ..checks.category import category_ids, check_categories
from ..checks.dataset import annotation_problems, dataset_name, reads_coco_files
from ..checks.problems import Problem, ProblemCollector, raise_errors, show, tolerate


class CocoByName(COCO):
    """An annotation file whose category ids come in the order of the names asked for."""

    def get_cat_ids(
        self,
        cat_names: Sequence[str] = (),
        sup_names: Sequence[str] = (),
        cat_ids: Sequence[int] = (),
    ) -> list[int | float]:
        """As COCO's, but one id for each of ``cat_names``, in their order.

        Raises:
            ValueError: if the file lacks one of the names, or has it twice.
        """
        found: list[int | float] = super().get_cat_ids(cat_names, sup_names, cat_ids)
        if not cat_names:
            return found
        by_name = category_ids(self.dataset["categories"], cat_names, "the annotation file")
        return [identity for identity in by_name if identity in found]


@DATASETS.register_module()
class CocoDatasetByName(CocoDataset):
    """MMDetection's CocoDataset, where label k is the k-th of ``metainfo['classes']``.

    A file that cannot be loaded is refused with the reason.
    """

    COCOAPI = CocoByName
    LABELS_BY_NAME = True
    """Whether labels follow names, for `checks.dataset`."""

    def full_init(self) -> None:
        """Load, and look for the cause where that fails.

        Raises:
            ValueError: with all reasons, if they are known.
        """
        try:
            super().full_init()
        except Exception as error:
            _explain(self, error)
            raise


@METRICS.register_module()
class CocoMetricByName(CocoMetric):
    """MMDetection's CocoMetric, where label k is the k-th of the data set's classes."""

    @property
    def dataset_meta(self) -> dict[str, Any] | None:
        """The data set's ``metainfo``, which is known before anything is predicted."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict[str, Any]) -> None:
        """Look the classes up.

        Raises:
            ValueError: if ``ann_file`` lacks one of them, or has it twice.
        """
        self._dataset_meta = dataset_meta
        # Without ann_file, MMDetection writes one in the classes' order.
        if self._coco_api is not None and "classes" in dataset_meta:
            self.cat_ids = category_ids(
                self._coco_api.dataset["categories"], dataset_meta["classes"], ann_file_of(self)
            )


def check_metric_labels(metric: BaseMetric, classes: Sequence[str]) -> None:
    """Check that a metric calls labels by the names that a data set has for them.

    Args:
        metric: any; only a CocoMetric with a file of its own is looked into.
        classes: of the data set.

    Raises:
        ValueError: if the file lacks a class or has it twice, or if it has them in another order
            and the metric goes by that.
    """
    if isinstance(metric, CocoMetric) and metric._coco_api is not None:
        found = ProblemCollector()
        _check_labels(metric, classes, found)
        raise_errors(found.problems(), ann_file_of(metric))


def metric_problems(metric: BaseMetric, dataset: BaseDataset) -> list[Problem]:
    """Check that a metric can measure a data set: by the same names, with the truth of its images.

    Args:
        metric: any; only a CocoMetric with a file of its own is looked into.
        dataset: loaded; only images of one that `reads_coco_files` are looked for.

    Returns:
        The problems of the metric's file.
    """
    found = ProblemCollector()
    if isinstance(metric, CocoMetric) and metric._coco_api is not None:
        if classes := dataset.metainfo.get("classes"):
            _check_labels(metric, classes, found)
        for index in range(len(dataset)) if reads_coco_files(dataset) else ():
            identity = dataset.get_data_info(index)["img_id"]
            if identity not in metric._coco_api.imgs:
                found.error(
                    f"it lacks images of {dataset_name(dataset)}: set val_evaluator.ann_file and "
                    "test_evaluator.ann_file to the file that the data set reads",
                    f"image {show(identity)}",
                )
    return found.problems()


def _check_labels(metric: CocoMetric, classes: Sequence[str], found: ProblemCollector) -> None:
    by_name = isinstance(metric, CocoMetricByName)
    check_categories(metric._coco_api.dataset["categories"], classes, found, by_name)


def ann_file_of(metric: BaseMetric) -> str:
    """How messages call the file, of which the metric keeps the content, but not the path."""
    return f"{type(metric).__name__}'s ann_file"


def _explain(dataset: CocoDataset, error: Exception) -> None:
    """Raise a ValueError that says why a data set cannot be loaded, if the reason is known."""
    if not reads_coco_files(dataset):
        return
    try:
        use: Use = "test" if dataset.test_mode else "train"
        # Background alone loads, unless the filter leaves it out.
        problems = tolerate(annotation_problems(dataset, use), (NO_INSTANCE,))
        raise_errors(problems, dataset_name(dataset))
        if "img" not in dataset.data_prefix:
            raise ValueError(
                f"{dataset_name(dataset)} does not say where its images lie: set "
                "data_prefix=dict(img='train/')"
            )
        # What is loaded is packed into one array, and there is none of nothing.
        if isinstance(error, ValueError) and not dataset.data_list:
            raise ValueError(
                f"{dataset_name(dataset)}: filter_cfg={dataset.filter_cfg} leaves no image: "
                "annotate some, or change the filter"
            )
    except ValueError as cause:
        raise cause from error
