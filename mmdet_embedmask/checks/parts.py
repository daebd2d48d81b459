"""Data sets inside wrappers, what measures each, and which errors of its file do no harm there."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mmdet.evaluation import CocoMetric, MultiDatasetsEvaluator
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric, Evaluator

from .annotation_file import NO_INSTANCE
from .instance import NO_MASK, Use


def unwrap_datasets(dataset: Any) -> Iterator[Any]:
    """Yield the data sets inside MMEngine's and MMDetection's wrappers (repeat, concat, ...).

    Args:
        dataset: built, or its config; so are those inside.
    """
    return (level for level in dataset_levels(dataset) if not _wrapped(level))


def dataset_levels(dataset: Any) -> Iterator[Any]:
    """Yield a data set and all that it wraps."""
    yield dataset
    for part in _wrapped(dataset):
        yield from dataset_levels(part)


def _wrapped(dataset: Any) -> Sequence[Any]:
    if hasattr(dataset, "datasets"):
        return list(dataset.datasets)
    return [dataset.dataset] if hasattr(dataset, "dataset") else []


def measured_datasets(
    dataset: Any, evaluator: Evaluator
) -> Iterator[tuple[Any, Sequence[BaseMetric]]]:
    """Yield data sets, or configs, inside the wrappers, each with the metrics that measure it."""
    measured = [(dataset, evaluator.metrics)]
    if isinstance(evaluator, MultiDatasetsEvaluator):
        metrics = [[metric] for metric in evaluator.metrics]
        measured = list(zip(dataset.datasets, metrics, strict=False))
    for part, metrics in measured:
        for inner in unwrap_datasets(part):
            yield inner, metrics


def tolerated_errors(
    dataset: BaseDataset, use: Use, num_learned: int = 1, metrics: Iterable[BaseMetric] = ()
) -> tuple[str, ...]:
    """The kinds of errors in an annotation file that do no harm where its data set is used.

    Args:
        dataset: no wrapper; it need not be loaded.
        use: what it is for.
        num_learned: how many data sets are learned from together; not for evaluation.
        metrics: what measures it; not for training.
    """
    if use == "train":
        # One of several may show background alone.
        return (NO_INSTANCE,) if num_learned > 1 else ()
    return () if _needs_masks(dataset, metrics) else (NO_MASK,)


def _needs_masks(dataset: BaseDataset, metrics: Iterable[BaseMetric]) -> bool:
    """Whether the masks of a data set that is predicted on are loaded or measured."""
    loaded = any(getattr(t, "with_mask", False) for t in dataset.pipeline.transforms)
    return loaded or any(isinstance(m, CocoMetric) and "segm" in m.metrics for m in metrics)
