# Data in COCO's format for short runs on small images: data_root/{train,val} and
# data_root/annotations/instances_{train,val}.json.
# Used by: dsb2018, embedmask_tiny_shapes
# Who builds on it sets data_root, metainfo and the evaluators' ann_file.
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(type="RandomFlip", prob=[0.25] * 3, direction=["horizontal", "vertical", "diagonal"]),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    # At its own size, but with the scale factor that a rescaled result needs.
    dict(type="Resize", scale_factor=1.0),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        type="CocoDatasetByName",
        ann_file="annotations/instances_train.json",
        data_prefix=dict(img="train/"),
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="CocoDatasetByName",
        ann_file="annotations/instances_val.json",
        data_prefix=dict(img="val/"),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="CocoMetricByName", metric=["bbox", "segm"])
test_evaluator = val_evaluator

# Views of `tools/test.py --tta`.
tta_flips = [
    dict(type="RandomFlip", prob=0.0),
    dict(type="RandomFlip", prob=1.0, direction="horizontal"),
    dict(type="RandomFlip", prob=1.0, direction="vertical"),
    dict(type="RandomFlip", prob=1.0, direction="diagonal"),
]
tta_pack = [
    dict(
        type="PackDetInputs",
        meta_keys=(
            "img_id",
            "img_path",
            "ori_shape",
            "img_shape",
            "scale_factor",
            "flip",
            "flip_direction",
        ),
    )
]
tta_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(
        type="TestTimeAug",
        transforms=[
            [dict(type="Resize", scale_factor=1.0)],
            tta_flips,
            tta_pack,
        ],
    ),
]
