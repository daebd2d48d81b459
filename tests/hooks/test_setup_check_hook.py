from types import SimpleNamespace

import pytest
from mmdet.engine.hooks import DetVisualizationHook
from mmdet.evaluation import DumpDetResults
from mmdet.visualization import DetLocalVisualizer
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset

from mmdet_embedmask.hooks.setup_check_hook import (
    SetupCheckHook,
    check_annotations,
    check_padding,
    unwrap_datasets,
)
from mmdet_embedmask.mask_prediction import MaskRecipe

RLE = dict(size=[8, 8], counts="08X1")
POLYGON = [[1.0, 1.0, 5.0, 1.0, 5.0, 5.0]]


class FakeDataset(BaseDataset):
    """What the hook reads of a dataset, and nothing loaded."""

    ann_file = "annotations/train.json"
    metainfo = None

    def __init__(self, masks=(POLYGON,), classes=("cat", "dog"), with_mask=True, poly2mask=True):
        self.metainfo = dict(classes=classes)
        loader = SimpleNamespace(with_mask=with_mask, poly2mask=poly2mask)
        self.pipeline = SimpleNamespace(transforms=[object(), loader])
        self.instances = [
            dict(bbox=[1, 1, 5, 5], ignore_flag=0) | ({} if mask is None else dict(mask=mask))
            for mask in masks
        ]

    def __len__(self):
        return 2

    def get_data_info(self, index):
        return dict(img_path=f"{index}.jpg", instances=self.instances if index else [])

    def full_init(self):
        pass


def runner(
    dataset,
    num_classes=2,
    pad_mask=True,
    pad_size_divisor=32,
    mask_format="bitmap",
    hooks=(),
    metrics=(),
):
    model = SimpleNamespace(
        bbox_head=SimpleNamespace(num_classes=num_classes),
        mask_head=SimpleNamespace(stride=8, mask_recipe=MaskRecipe(0.5, mask_format=mask_format)),
        data_preprocessor=SimpleNamespace(pad_mask=pad_mask, pad_size_divisor=pad_size_divisor),
    )
    loader = SimpleNamespace(dataset=dataset)
    return SimpleNamespace(
        model=model,
        train_dataloader=loader,
        val_dataloader=loader,
        val_loop=loader,
        val_evaluator=SimpleNamespace(metrics=[]),
        test_dataloader=loader,
        hooks=list(hooks),
        test_evaluator=SimpleNamespace(metrics=list(metrics)),
    )


def test_run_lengths_are_neither_drawn_nor_dumped(tmp_path):
    DetLocalVisualizer.get_instance("setup_check")  # the hook looks for one
    draws, silent = DetVisualizationHook(draw=True, test_out_dir="x"), DetVisualizationHook()
    dumps = DumpDetResults(str(tmp_path / "results.pkl"))
    hook = SetupCheckHook()
    for readers, name in (
        (dict(hooks=[draws]), "DetVisualizationHook"),
        (dict(hooks=[silent], metrics=[dumps]), "DumpDetResults"),
    ):
        message = f"{name} reads masks as bitmaps.* set model.test_cfg.mask_format='bitmap'"
        with pytest.raises(ValueError, match=message):
            hook.before_test(runner(FakeDataset(), mask_format="rle", **readers))
        hook.before_test(runner(FakeDataset(), **readers))
    hook.before_test(runner(FakeDataset(), mask_format="rle", hooks=[silent]))


def test_a_good_setup_passes():
    hook = SetupCheckHook()
    for masks in ((POLYGON,), (RLE, POLYGON)):
        good = runner(FakeDataset(masks))
        hook.before_train(good)
        hook.before_val(good)
        hook.before_test(good)


@pytest.mark.parametrize("event", ["before_train", "before_val", "before_test"])
def test_num_classes(event):
    with pytest.raises(ValueError, match="num_classes=80, but FakeDataset has 2 classes"):
        getattr(SetupCheckHook(), event)(runner(FakeDataset(), num_classes=80))


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(with_mask=False), "loads no masks.*with_mask=True"),
        (dict(masks=(POLYGON, None)), "1.jpg has an instance with a box but no mask"),
        (dict(masks=(POLYGON, RLE), poly2mask=False), "RLE mask.*set poly2mask=True"),
        (dict(masks=()), r"no annotated instance of its classes \('cat', 'dog'\)"),
    ],
)
def test_annotations(options, message):
    with pytest.raises(ValueError, match=message):
        SetupCheckHook().before_train(runner(FakeDataset(**options)))


def test_ignored_rle_without_decoding_is_fine():
    dataset = FakeDataset((POLYGON, RLE), poly2mask=False)
    dataset.instances[1]["ignore_flag"] = 1
    check_annotations(dataset)


def test_ignored_instances_alone_are_not_enough():
    dataset = FakeDataset()
    dataset.instances[0]["ignore_flag"] = 1
    with pytest.raises(ValueError, match="no annotated instance"):
        check_annotations(dataset)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(pad_mask=False), "pad_mask=False.*set data_preprocessor.pad_mask=True"),
        (dict(pad_size_divisor=1), "pad_size_divisor=1 is not a multiple of mask_head.stride=8"),
    ],
)
def test_padding(options, message):
    with pytest.raises(ValueError, match=message):
        check_padding(runner(FakeDataset(), **options).model)


def test_wrapped_datasets_are_all_found():
    a, b = FakeDataset(), FakeDataset()
    repeated = RepeatDataset(b, 2, lazy_init=True)
    wrapped = SimpleNamespace(datasets=[ConcatDataset([a], lazy_init=True), repeated])
    assert list(unwrap_datasets(wrapped)) == [a, b]
    b.instances = [dict(bbox=[0, 0, 1, 1], ignore_flag=0)]
    with pytest.raises(ValueError, match="no mask"):
        SetupCheckHook().before_train(runner(wrapped))
