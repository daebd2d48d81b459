# Table 1, R-101, multi-scale, 3x.
# Run:     bash tools/dist_train.sh configs/embedmask/embedmask_r101_fpn_ms-3x_coco.py 8
# Costs:   not measured here
# Reaches: 38.3 mask AP and 42.3 box AP on COCO test-dev (the paper's)
_base_ = ["./embedmask_r50_fpn_1x_coco.py", "./_base_/schedule_3x.py"]

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

max_iters = _base_.iters_3x
train_cfg = _base_.train_cfg_3x
param_scheduler = [_base_.param_scheduler[0], _base_.steps_3x]
