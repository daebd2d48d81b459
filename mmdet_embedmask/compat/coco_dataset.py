"""MMDetection's CocoDataset, with labels by name and with errors that say what is wrong.

MMDetection 3 numbers labels in the order of the annotation file's categories and names them in the
order of ``metainfo['classes']``. Where the two orders differ, predictions carry wrong names, and
where those of a training and a validation file differ, AP is wrong, without a word. Both
`CocoDataset` and `CocoMetric` take the order from one method, which is replaced here; for files in
the classes' own order, as COCO's, nothing changes.
"""

from collections.abc import Callable, Sequence
from functools import wraps

from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO

from ..data.box_check import Use
from ..data.dataset_check import annotation_problems, dataset_name, reads_coco_files
from ..data.problems import raise_errors


def install_coco_dataset() -> None:
    """Let labels follow the classes' names, and explain files that cannot be loaded.

    May be called any number of times.
    """
    if not getattr(COCO.get_cat_ids, "by_name", False):
        COCO.get_cat_ids = _by_name(COCO.get_cat_ids)
        CocoDataset.full_init = _explained(CocoDataset.full_init)


def _by_name(get_cat_ids: Callable[..., list[int]]) -> Callable[..., list[int]]:
    """Category ids in the order of the names that were asked for."""

    @wraps(get_cat_ids)
    def by_name(
        self: COCO,
        cat_names: Sequence[str] = (),
        sup_names: Sequence[str] = (),
        cat_ids: Sequence[int] = (),
    ) -> list[int]:
        found = get_cat_ids(self, cat_names, sup_names, cat_ids)
        if not isinstance(cat_names, list | tuple) or not cat_names:
            return found
        order = {name: place for place, name in enumerate(cat_names)}
        return sorted(
            found, key=lambda identity: order.get(self.cats[identity]["name"], len(order))
        )

    by_name.by_name = True
    return by_name


def _explained(full_init: Callable[[CocoDataset], None]) -> Callable[[CocoDataset], None]:
    """Loading that looks for the cause where it fails."""

    @wraps(full_init)
    def explained(self: CocoDataset) -> None:
        try:
            full_init(self)
        except Exception as error:
            _explain(self, error)
            raise

    return explained


def _explain(dataset: CocoDataset, error: Exception) -> None:
    """Raise a ValueError that says why a data set cannot be loaded, if the reason is known."""
    if not reads_coco_files(dataset):
        return
    try:
        use: Use = "test" if dataset.test_mode else "train"
        raise_errors(annotation_problems(dataset, use), dataset_name(dataset))
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
