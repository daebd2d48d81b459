# Table 1, R-101, multi-scale, 3x: 38.3 mask AP and 42.3 box AP on test-dev (the paper's).
_base_ = "./embedmask_r50_fpn_1x_coco.py"

model = dict(
    backbone=dict(
        depth=101,
        init_cfg=dict(type="Pretrained", checkpoint="open-mmlab://detectron/resnet101_caffe"),
    ),
    test_cfg=dict(mask_thr=0.53),
)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(type="RandomResize", scale=[(1333, 640), (1333, 800)], keep_ratio=True),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

max_iters = 270000
train_cfg = dict(max_iters=max_iters)
param_scheduler = [
    dict(type="ConstantLR", factor=1.0 / 3, by_epoch=False, begin=0, end=500),
    dict(
        type="MultiStepLR",
        by_epoch=False,
        begin=0,
        end=max_iters,
        milestones=[210000, 250000],
        gamma=0.1,
    ),
]
