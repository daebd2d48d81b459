import json
import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

# isort: off
# First, also in processes that a test starts: it puts the stand-in for compiled MMCV in place.
import mmdet_embedmask  # noqa: F401

# isort: on
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets import CocoDataset
from mmdet.evaluation import CocoMetric

from mmdet_embedmask import CocoDatasetByName, CocoMetricByName
from mmdet_embedmask.checks import dataset as dataset_checks
from mmdet_embedmask.checks.dataset import dataset_name, dataset_problems
from mmdet_embedmask.checks.problems import raise_errors
from mmdet_embedmask.hooks.data_files import (
    check_data_files,
    check_evaluated_images,
    check_same_classes,
)


def coco(folder, kind=CocoDataset, count=1, categories=("cat",), **options):
    """A data set that loads and has nothing to learn; of its images none is there."""
    path = folder / "train.json"
    content = dict(
        images=[dict(id=i, file_name=f"{i}.png", height=8, width=12) for i in range(1, count + 1)],
        annotations=[],
        categories=[dict(id=i, name=name) for i, name in enumerate(categories, start=1)],
    )
    path.write_text(json.dumps(content))
    options = (
        dict(
            data_prefix=dict(img=str(folder)),
            metainfo=dict(classes=("cat",)),
            pipeline=[LoadImageFromFile()],
            test_mode=True,
        )
        | options
    )
    return kind(ann_file=str(path), lazy_init=True, **options)


def test_images_are_looked_at_only_if_wanted(tmp_path):
    dataset = coco(tmp_path)
    check_data_files([dataset], "val", check_images=False)
    with pytest.raises(ValueError, match="an image is missing.*1.png"):
        check_data_files([dataset], "val", check_images=True)


def test_other_classes_of_another_data_set_are_refused(tmp_path):
    cat, dog = coco(tmp_path), coco(tmp_path, metainfo=dict(classes=("dog",)))
    check_same_classes([cat, cat], [cat])
    for learned, evaluated in (([cat, dog], []), ([cat], [cat, dog])):
        with pytest.raises(ValueError, match=r"has classes \('cat',\), but .* has \('dog',\)"):
            check_same_classes(learned, evaluated)


PETS = dict(categories=("dog", "cat"), metainfo=dict(classes=("cat", "dog")))


def test_labels_by_the_files_order_are_refused_if_the_classes_have_another(tmp_path):
    check_data_files([coco(tmp_path, CocoDatasetByName, **PETS)], "val", check_images=False)
    same = PETS | dict(metainfo=dict(classes=("dog", "cat")))
    check_data_files([coco(tmp_path, **same)], "val", check_images=False)
    with pytest.raises(
        ValueError,
        match=r"set the data set's type='CocoDatasetByName' and its evaluator's "
        r"type='CocoMetricByName'.*classes \['cat', 'dog'\], the file has \['dog', 'cat'\]",
    ):
        check_data_files([coco(tmp_path, **PETS)], "val", check_images=False)


def test_an_evaluator_of_another_order_is_refused(tmp_path):
    dataset = coco(tmp_path, CocoDatasetByName, **PETS)
    check_evaluated_images([dataset], [CocoMetricByName(ann_file=dataset.ann_file)])
    check_evaluated_images([dataset], [CocoMetric()])
    with pytest.raises(ValueError, match="CocoMetric's ann_file cannot(?s:.*)labels go by"):
        check_evaluated_images([dataset], [CocoMetric(ann_file=dataset.ann_file)])


class Group:
    """Threads that talk as processes do through MMEngine: each call waits for all of them."""

    def __init__(self, size, monkeypatch):
        self.size, self.place = size, threading.local()
        self.barrier, self.values = threading.Barrier(size, timeout=30), [None] * size
        for name in ("get_dist_info", "broadcast_object_list", "all_gather_object"):
            monkeypatch.setattr(dataset_checks, name, getattr(self, name))

    def get_dist_info(self):
        return self.place.rank, self.size

    def all_gather_object(self, value):
        self.values[self.place.rank] = value
        self.barrier.wait()
        values = list(self.values)
        self.barrier.wait()
        return values

    def broadcast_object_list(self, values):
        values[:] = self.all_gather_object(list(values))[0]

    def run(self, function):
        """What the function raises in each thread, or None."""

        def of(rank):
            self.place.rank = rank
            try:
                function(rank)
            except Exception as error:
                return f"{type(error).__name__}: {error}"
            return None

        with ThreadPoolExecutor(self.size) as pool:
            return list(pool.map(of, range(self.size)))


@pytest.mark.parametrize("size, shares", [(1, [11]), (2, [5, 6]), (3, [3, 4, 4])])
def test_each_process_reads_its_share_of_the_images_and_all_learn_the_same(
    tmp_path, monkeypatch, size, shares
):
    for i in (1, 5, 6):  # the others are missing; one has another size
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.zeros((8, 12 + (i == 5), 3), np.uint8))
    datasets = [coco(tmp_path, count=11) for _ in range(size)]
    with pytest.raises(ValueError) as alone:
        raise_errors(dataset_problems(datasets[0], "val"), dataset_name(datasets[0]))
    assert "an image has another size" in str(alone.value) and "8.png and 3 more]" in str(
        alone.value
    )
    group, read, files = Group(size, monkeypatch), [0] * size, [0] * size
    images, annotations = dataset_checks.image_problems, dataset_checks.annotation_problems

    def image_problems(dataset, use, indices):
        read[group.place.rank] += len(indices)
        return images(dataset, use, indices)

    def annotation_problems(dataset, use):
        files[group.place.rank] += 1
        return annotations(dataset, use)

    monkeypatch.setattr(dataset_checks, "image_problems", image_problems)
    monkeypatch.setattr(dataset_checks, "annotation_problems", annotation_problems)
    errors = group.run(lambda rank: check_data_files([datasets[rank]], "val", check_images=True))
    assert errors == [f"ValueError: {alone.value}"] * size
    assert read == shares and files == [1] + [0] * (size - 1)


def test_all_processes_learn_what_is_wrong_with_the_annotation_file(tmp_path, monkeypatch):
    datasets = [coco(tmp_path) for _ in range(2)]
    errors = Group(2, monkeypatch).run(
        lambda rank: check_data_files([datasets[rank]], "train", check_images=True)
    )
    assert errors[0] == errors[1] and "no instance to learn from" in errors[0]


def _check(rank: int, folder) -> None:
    torch.set_num_threads(1)
    start = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", init_method=start, rank=rank, world_size=2)
    try:
        check_data_files([coco(folder / str(rank), count=3)], "val", check_images=True)
    except ValueError as error:
        (folder / f"rank{rank}.txt").write_text(str(error))
    dist.destroy_process_group()


@pytest.mark.slow
def test_all_processes_stop_together(tmp_path):
    for rank in range(2):
        (tmp_path / str(rank)).mkdir()
    mp.spawn(_check, args=(tmp_path,), nprocs=2)
    for rank in range(2):
        told = (tmp_path / f"rank{rank}.txt").read_text()
        # The first process looks for one image, the second for two.
        assert [f"{tmp_path}/{place}.png" in told for place in ("0/1", "1/2", "1/3")] == [True] * 3
