# Table 2, R-101, multi-scale, 3x.
# Run:     bash tools/dist_train.sh configs/embedmask/embedmask_fused_r101_fpn_ms-3x_coco.py 8
# Costs:   not measured here
# Reaches: 40.0 mask AP and 44.6 box AP on COCO test-dev (the paper's)
_base_ = ["./embedmask_fused_r50_fpn_ms-1x_coco.py", "./_base_/schedule_3x.py"]

model = dict(
    backbone=dict(
        depth=101,
        init_cfg=dict(type="Pretrained", checkpoint="open-mmlab://detectron2/resnet101_caffe"),
    )
)

max_iters = _base_.iters_3x
train_cfg = _base_.train_cfg_3x
param_scheduler = [_base_.param_scheduler[0], _base_.steps_3x]
