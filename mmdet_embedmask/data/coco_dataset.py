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

from ..checks.annotation_file import NO_INSTANCE
from ..checks.category import category_ids
from ..checks.dataset import annotation_problems, dataset_name, reads_coco_files
from ..checks.instance import Use
from ..checks.metric import ann_file_of
from ..checks.problems import raise_errors, tolerate


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
    """Labels follow names, for `checks.dataset.labels_by_name`; so in the metric below."""

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

    LABELS_BY_NAME = True

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
