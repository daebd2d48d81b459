# Table 2, R-50, multi-scale, 1x.
# Run:     bash tools/dist_train.sh configs/embedmask/embedmask_fused_r50_fpn_ms-1x_coco.py 8
# Costs:   10.40 s and 3.66 GB a step of 2 images on two CPU cores (docs/benchmark.md);
#          on GPUs not measured here
# Reaches: 36.3 mask AP and 40.1 box AP on COCO test-dev (the paper's)
_base_ = [
    "./_base_/embedmask_r50-caffe_fpn.py",
    "./_base_/embedmask_fused_heads.py",
    "./_base_/coco_800x1333.py",
    "./_base_/sgd_90k.py",
]

model = dict(
    data_preprocessor=dict(mean=[103.530, 116.280, 123.675]),
    backbone=dict(
        init_cfg=dict(type="Pretrained", checkpoint="open-mmlab://detectron2/resnet50_caffe")
    ),
    bbox_head=_base_.fused_bbox_head,
    mask_head=dict(
        _base_.fused_mask_head, semantic_branch=dict(type="SemanticBranch", num_classes=80)
    ),
    test_cfg=_base_.fused_test_cfg,
)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(
        type="RandomChoiceResize",
        scales=[(1333, side) for side in range(640, 801, 32)],
        keep_ratio=True,
    ),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# As the released program's framework: biases at the rate and decay of other weights, norms without
# decay; and a longer warm-up than the plain system's.
optim_wrapper = dict(paramwise_cfg=dict(_delete_=True, norm_decay_mult=0.0))
# BatchNorm learns here: without it every process would be validated with its own statistics.
custom_hooks = [dict(type="SetupCheckHook"), dict(type="SyncBuffersHook")]
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=1000),
    _base_.param_scheduler[1],
]
