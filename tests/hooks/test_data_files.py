import json

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

# isort: off
# First, also in processes that a test starts: it puts the stand-in for compiled MMCV in place.
import mmdet_embedmask  # noqa: F401

# isort: on
from mmdet.datasets import CocoDataset
from mmdet.datasets.lvis import LVISV1Dataset

from mmdet_embedmask.data.dataset_check import reads_coco_files
from mmdet_embedmask.hooks import data_files
from mmdet_embedmask.hooks.data_files import check_data_files, check_same_classes


def coco(folder, kind=CocoDataset, **options):
    """A data set that loads and has nothing to learn."""
    path = folder / "train.json"
    image = dict(id=1, file_name="a.png", height=8, width=12)
    category = dict(id=1, name="cat")
    path.write_text(json.dumps(dict(images=[image], annotations=[], categories=[category])))
    options = dict(data_prefix=dict(img=str(folder)), metainfo=dict(classes=("cat",))) | options
    return kind(ann_file=str(path), lazy_init=True, **options)


def test_only_local_files_in_cocos_own_format_are_checked(tmp_path):
    class Child(CocoDataset):
        METAINFO = dict(classes=("cat",))

    assert reads_coco_files(coco(tmp_path)) and reads_coco_files(coco(tmp_path, Child))
    assert not reads_coco_files(coco(tmp_path, LVISV1Dataset))
    assert not reads_coco_files(coco(tmp_path, backend_args=dict(backend="petrel")))
    assert not reads_coco_files(coco(tmp_path, data_prefix=dict(img="s3://bucket/train/")))


def test_images_are_looked_at_only_if_wanted(tmp_path):
    dataset = coco(tmp_path)
    check_data_files([dataset], "val", check_images=False)
    with pytest.raises(ValueError, match="an image is missing.*a.png"):
        check_data_files([dataset], "val", check_images=True)


def test_same_classes(tmp_path):
    cat, dog = coco(tmp_path), coco(tmp_path, metainfo=dict(classes=("dog",)))
    check_same_classes([cat, cat], [cat])
    for learned, evaluated in (([cat, dog], []), ([cat], [cat, dog])):
        with pytest.raises(ValueError, match=r"has classes \('cat',\), but .* has \('dog',\)"):
            check_same_classes(learned, evaluated)


def _check(rank: int, folder) -> None:
    torch.set_num_threads(1)
    start = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", init_method=start, rank=rank, world_size=2)
    if rank:
        data_files.dataset_problems = None  # only the main process reads
    try:
        check_data_files([coco(folder / str(rank))], "train", check_images=False)
    except ValueError as error:
        (folder / f"rank{rank}.txt").write_text(str(error))
    dist.destroy_process_group()


@pytest.mark.slow
def test_all_processes_stop_together(tmp_path):
    for rank in range(2):
        (tmp_path / str(rank)).mkdir()
    mp.spawn(_check, args=(tmp_path,), nprocs=2)
    for rank in range(2):
        assert "no instance to learn from" in (tmp_path / f"rank{rank}.txt").read_text()
