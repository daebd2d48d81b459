# Table 2, R-101, multi-scale, 3x: 40.0 mask AP and 44.6 box AP on test-dev (the paper's).
_base_ = "./embedmask_fused_r50_fpn_ms-1x_coco.py"

model = dict(
    backbone=dict(
        depth=101,
        init_cfg=dict(type="Pretrained", checkpoint="open-mmlab://detectron2/resnet101_caffe"),
    )
)

max_iters = 270000
train_cfg = dict(max_iters=max_iters)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(
        type="MultiStepLR",
        by_epoch=False,
        begin=0,
        end=max_iters,
        milestones=[210000, 250000],
        gamma=0.1,
    ),
]
