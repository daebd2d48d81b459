import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.datasets import CocoDataset, MultiImageMixDataset
from mmdet.engine.hooks import DetVisualizationHook, PipelineSwitchHook
from mmdet.evaluation import CocoMetric, DumpDetResults, MultiDatasetsEvaluator
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmdet.visualization import DetLocalVisualizer
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset

from mmdet_embedmask.checks.parts import unwrap_datasets
from mmdet_embedmask.hooks.setup_check_hook import SetupCheckHook, check_annotations, check_padding

RLE = dict(size=[8, 8], counts="08X1")
POLYGON = [[1.0, 1.0, 5.0, 1.0, 5.0, 5.0]]


def loads(with_mask=True, poly2mask=True):
    return SimpleNamespace(with_mask=with_mask, poly2mask=poly2mask)


class FakeDataset(BaseDataset):
    """What the hook reads of a dataset, and nothing loaded."""

    ann_file = "annotations/train.json"
    metainfo = None

    def __init__(self, masks=(POLYGON,), classes=("cat", "dog"), transforms=None, **loader):
        self.metainfo = dict(classes=classes)
        transforms = [object(), loads(**loader)] if transforms is None else transforms
        self.pipeline = SimpleNamespace(transforms=transforms)
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
    evaluator = metrics if isinstance(metrics, MultiDatasetsEvaluator) else None
    evaluator = evaluator or SimpleNamespace(metrics=list(metrics))
    model = SimpleNamespace(
        bbox_head=SimpleNamespace(num_classes=num_classes),
        mask_head=SimpleNamespace(mask_format=mask_format),
        data_preprocessor=SimpleNamespace(pad_mask=pad_mask, pad_size_divisor=pad_size_divisor),
    )
    loader = SimpleNamespace(dataset=dataset)
    return SimpleNamespace(
        model=model,
        train_dataloader=loader,
        val_dataloader=loader,
        val_loop=loader,
        val_evaluator=evaluator,
        test_dataloader=loader,
        hooks=list(hooks),
        test_evaluator=evaluator,
    )


def coco(folder, name, first_id=1, segmentation=POLYGON, annotated=True, **options):
    """A data set in COCO's format of one image, with one box or without."""
    image = dict(id=first_id, file_name=f"{name}.png", height=8, width=8)
    box = dict(id=1, image_id=first_id, category_id=1, bbox=[1, 1, 4, 4], area=16, iscrowd=0)
    content = dict(
        images=[image],
        annotations=[box | ({} if segmentation is None else dict(segmentation=segmentation))],
        categories=[dict(id=1, name="cat"), dict(id=2, name="dog")],
    )
    content["annotations"] *= annotated
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return CocoDataset(
        ann_file=str(path),
        data_prefix=dict(img=str(folder)),
        metainfo=dict(classes=("cat", "dog")),
        **dict(pipeline=[], serialize_data=False) | options,
    )


LOAD = dict(type="LoadAnnotations", with_bbox=True, with_mask=True)


@pytest.mark.parametrize("event", ["before_train", "before_val", "before_test"])
def test_run_lengths_are_neither_drawn_nor_dumped(tmp_path, event):
    DetLocalVisualizer.get_instance("setup_check")  # the hook looks for one
    draws, silent = DetVisualizationHook(draw=True, test_out_dir="x"), DetVisualizationHook()
    dumps = DumpDetResults(str(tmp_path / "results.pkl"))
    check = getattr(SetupCheckHook(), event)
    for readers, name in (
        (dict(hooks=[draws]), "DetVisualizationHook"),
        (dict(hooks=[silent], metrics=[dumps]), "DumpDetResults"),
    ):
        message = f"{name} reads masks as bitmaps.* set model.test_cfg.mask_format='bitmap'"
        with pytest.raises(ValueError, match=message):
            check(runner(FakeDataset(), mask_format="rle", **readers))
        check(runner(FakeDataset(), **readers))
    check(runner(FakeDataset(), mask_format="rle", hooks=[silent]))
    without_validation = runner(FakeDataset(), mask_format="rle", hooks=[draws])
    without_validation.val_loop = without_validation.val_dataloader = None
    SetupCheckHook().before_train(without_validation)


def test_a_part_of_the_training_data_may_show_background_alone(tmp_path):
    cats, background = (
        coco(tmp_path, name, annotated=annotated, pipeline=[LOAD])
        for name, annotated in (("cats", True), ("background", False))
    )
    check = SetupCheckHook(check_images=False).before_train
    check(runner(ConcatDataset([cats, background])))
    check(runner(SimpleNamespace(datasets=[FakeDataset(masks=()), cats])))
    with pytest.raises(
        ValueError, match=r"background.json\) cannot be used:.*\n.*no instance to le"
    ):
        check(runner(background))
    both = (
        r"no annotated instance of the classes .* in .*background.json\) and .*background.json\):"
    )
    with pytest.raises(ValueError, match=both):
        check(runner(ConcatDataset([background, background])))


@pytest.mark.parametrize("event", ["before_train", "before_test"])
def test_masks_are_needed_where_they_are_loaded_or_measured(tmp_path, event):
    def check(metric, **options):
        boxes = coco(tmp_path, "boxes", segmentation=None, **options)
        metric = CocoMetric(ann_file=boxes.ann_file, metric=metric)
        setup = runner(boxes, metrics=[metric])
        setup.train_dataloader = SimpleNamespace(dataset=FakeDataset())
        getattr(SetupCheckHook(check_images=False), event)(setup)

    check("bbox")
    check("bbox", pipeline=[dict(LOAD, with_mask=False)])
    for wrong in (dict(metric=["bbox", "segm"]), dict(metric="bbox", pipeline=[LOAD])):
        with pytest.raises(ValueError, match="a box without a mask"):
            check(**wrong)


@pytest.mark.parametrize("event", ["before_train", "before_test"])
def test_metrics_hold_the_images_that_they_measure(tmp_path, event):
    check = getattr(SetupCheckHook(check_images=False), event)
    first, second = (
        coco(tmp_path, name, number, pipeline=[LOAD])
        for number, name in enumerate(("first", "second"), start=1)
    )
    measures = [CocoMetric(ann_file=d.ann_file, metric=["bbox", "segm"]) for d in (first, second)]
    check(runner(first, metrics=measures[:1]))
    with pytest.raises(ValueError, match=r"lacks images of CocoDataset \(.*first.json\)"):
        check(runner(first, metrics=measures[1:]))
    both = SimpleNamespace(datasets=[SimpleNamespace(dataset=first), second])
    check(runner(both, metrics=MultiDatasetsEvaluator(measures, ["first", "second"])))
    with pytest.raises(ValueError, match=r"lacks images of CocoDataset \(.*first.json\)"):
        check(runner(both, metrics=MultiDatasetsEvaluator(measures[::-1], ["first", "second"])))
    with pytest.raises(ValueError, match=r"lacks images of CocoDataset \(.*first.json\)"):
        check(runner(both, metrics=measures))


MOSAIC, MIX_UP = (dict(type=name, img_scale=(8, 8)) for name in ("Mosaic", "MixUp"))


@pytest.mark.parametrize(
    "transform, cure",
    [
        (MOSAIC, "CachedMosaic"),
        (MIX_UP, "CachedMixUp"),
        (dict(type="RandomShift"), "TranslateX and TranslateY"),
    ],
)
def test_transforms_that_leave_masks_are_refused(transform, cure):
    message = f"{transform['type']} in the training pipeline changes boxes .* take {cure}"
    mixed = MultiImageMixDataset(FakeDataset(), [transform], lazy_init=True)
    inside = FakeDataset(transforms=[loads(), TRANSFORMS.build(transform)])
    wrapped = [
        dict(type="RandomApply", transforms=transform),
        dict(type="RandomChoice", transforms=[[LOAD], [LOAD, transform]]),
        dict(type="RandomOrder", transforms=[dict(type="RandomApply", transforms=[transform])]),
    ]
    drawn = [FakeDataset(transforms=[loads(), TRANSFORMS.build(outer)]) for outer in wrapped]
    for dataset in (mixed, SimpleNamespace(dataset=mixed), inside, *drawn):
        with pytest.raises(ValueError, match=message):
            SetupCheckHook().before_train(runner(dataset))
    later = PipelineSwitchHook(1, [LOAD, transform])
    with pytest.raises(ValueError, match=message):
        SetupCheckHook().before_train(runner(FakeDataset(), hooks=[later]))


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "of views"])
def test_padding_before_a_prediction_is_refused(inside):
    pad = TRANSFORMS.build(dict(type="Pad", size=(64, 64)))
    if inside:
        pad = SimpleNamespace(subroutines=[loads(), SimpleNamespace(transforms=[pad])])
    padded = FakeDataset(transforms=[loads(), pad])
    hook = SetupCheckHook()
    trained = runner(FakeDataset())
    trained.val_dataloader = SimpleNamespace(dataset=padded)
    for check, its_runner in (
        (hook.before_train, trained),
        (hook.before_val, runner(padded)),
        (hook.before_test, runner(padded)),
    ):
        with pytest.raises(ValueError, match="Pad in a pipeline for prediction .* remove it"):
            check(its_runner)
    trained.train_dataloader, trained.val_dataloader = (
        trained.val_dataloader,
        trained.test_dataloader,
    )
    hook.before_train(trained)  # training pads as it likes


def test_other_transforms_inside_others_pass():
    flip = dict(type="RandomFlip", prob=0.5)
    outer = TRANSFORMS.build(dict(type="RandomChoice", transforms=[[flip], [LOAD, flip]]))
    dataset = FakeDataset(transforms=[loads(), outer])
    SetupCheckHook().before_train(runner(dataset, hooks=[PipelineSwitchHook(1, [LOAD, flip])]))


@pytest.mark.parametrize("name", ["CachedMosaic", "CachedMixUp"])
def test_what_is_named_in_their_place_mixes_masks(name):
    options = dict(ratio_range=(1.0, 1.0)) if name == "CachedMixUp" else {}
    transform = TRANSFORMS.build(dict(type=name, img_scale=(64, 64), prob=1.0, **options))
    SetupCheckHook().before_train(runner(FakeDataset(transforms=[loads(), transform])))
    most = 0
    for shift in range(8):
        masks = np.zeros((2, 64, 64), np.uint8)
        masks[0, 8:24, 8 + shift : 30] = masks[1, 40:60, 20:50] = 1
        mixed = transform(
            dict(
                img=np.zeros((64, 64, 3), np.uint8),
                img_shape=(64, 64),
                gt_bboxes=HorizontalBoxes(
                    torch.tensor([[8.0 + shift, 8, 30, 24], [20, 40, 50, 60]])
                ),
                gt_bboxes_labels=np.array([0, 1]),
                gt_ignore_flags=np.zeros(2, bool),
                gt_masks=BitmapMasks(masks, 64, 64),
            )
        )
        boxes = mixed["gt_masks"].get_bboxes("hbox").tensor
        assert torch.equal(boxes, mixed["gt_bboxes"].tensor)
        most = max(most, len(boxes))
    assert most > 2


def test_a_good_setup_passes():
    hook = SetupCheckHook()
    for masks in ((POLYGON,), (RLE, POLYGON)):
        good = runner(FakeDataset(masks))
        hook.before_train(good)
        hook.before_val(good)
        hook.before_test(good)


@pytest.mark.parametrize("event", ["before_train", "before_val", "before_test"])
def test_another_number_of_classes_is_refused(event):
    with pytest.raises(ValueError, match="num_classes=80, but FakeDataset has 2 classes"):
        getattr(SetupCheckHook(), event)(runner(FakeDataset(), num_classes=80))


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(with_mask=False), "loads no masks.*with_mask=True"),
        (dict(masks=(POLYGON, None)), "1.jpg has an instance with a box but no mask"),
        (dict(masks=(POLYGON, RLE), poly2mask=False), "RLE mask.*set poly2mask=True"),
        (dict(masks=()), r"no annotated instance of the classes \('cat', 'dog'\) in Fake"),
        (
            dict(masks=(RLE,), transforms=[loads(), loads(poly2mask=False)]),
            "RLE mask.*set poly2mask=True",
        ),
    ],
)
def test_masks_that_cannot_be_learned_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SetupCheckHook().before_train(runner(FakeDataset(**options)))


def test_ignored_rle_without_decoding_is_fine():
    dataset = FakeDataset((POLYGON, RLE), poly2mask=False)
    dataset.instances[1]["ignore_flag"] = 1
    check_annotations([dataset])


def test_one_of_two_loaders_may_load_the_masks():
    check_annotations([FakeDataset(transforms=[loads(with_mask=False), loads()])])


def test_ignored_instances_alone_are_not_enough():
    dataset = FakeDataset()
    dataset.instances[0]["ignore_flag"] = 1
    with pytest.raises(ValueError, match="no annotated instance"):
        check_annotations([dataset])


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(pad_mask=False), "pad_mask=False.*set data_preprocessor.pad_mask=True"),
        (dict(pad_size_divisor=1), "pad_size_divisor=1 is not a multiple of 8, the stride of"),
    ],
)
def test_padding_that_masks_do_not_fit_is_refused(options, message):
    wrong = runner(FakeDataset(), **options)
    with pytest.raises(ValueError, match=message):
        check_padding(wrong.model)
    with pytest.raises(ValueError, match=message):
        SetupCheckHook().before_train(wrong)


def test_wrapped_datasets_are_all_found():
    a, b = FakeDataset(), FakeDataset()
    repeated = RepeatDataset(b, 2, lazy_init=True)
    wrapped = SimpleNamespace(datasets=[ConcatDataset([a], lazy_init=True), repeated])
    assert list(unwrap_datasets(wrapped)) == [a, b]
    b.instances = [dict(bbox=[0, 0, 1, 1], ignore_flag=0)]
    with pytest.raises(ValueError, match="no mask"):
        SetupCheckHook().before_train(runner(wrapped))
