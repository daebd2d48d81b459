# Table 2, R-50, multi-scale, 1x: 36.3 mask AP and 40.1 box AP on test-dev (the paper's).
_base_ = [
    "./_base_/embedmask_r50-caffe_fpn.py",
    "./_base_/coco_800x1333.py",
    "./_base_/sgd_90k.py",
]

model = dict(
    data_preprocessor=dict(mean=[103.530, 116.280, 123.675]),
    backbone=dict(
        init_cfg=dict(type="Pretrained", checkpoint="open-mmlab://detectron2/resnet50_caffe")
    ),
    # What Table 2's system sets beyond Table 1's; every line also works alone.
    bbox_head=dict(
        sample_in_mask=False,
        sampling_center="mask",
        mask_proposals="all",
        max_mask_proposals=500,
        reduce_channels=128,
    ),
    mask_head=dict(
        tower="fused",
        feat_channels=128,
        norm_cfg=dict(type="BN", requires_grad=True),
        learnable_position_scale=False,
        upsample="aligned",
        mask_target="point",
        mask_loss_mean="proposals",
        loss_mask=dict(type="LovaszHingeLoss", loss_weight=1.0),
        semantic_branch=dict(type="SemanticBranch", num_classes=80),
    ),
    # Targets are read at pixel 4i + 2: aligned, masks are resized from there too.
    # Boxes of no size are dropped after clipping, and not before.
    test_cfg=dict(
        score="sqrt",
        clip_boxes="after_nms",
        min_bbox_size=-1,
        mask_thr=0.5,
        mask_resize="aligned",
    ),
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
# decay; and a longer warm-up than Table 1's.
optim_wrapper = dict(paramwise_cfg=dict(_delete_=True, norm_decay_mult=0.0))
# BatchNorm learns here: without it every process would be validated with its own statistics.
custom_hooks = [dict(type="SetupCheckHook"), dict(type="SyncBuffersHook")]
max_iters = 90000
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(
        type="MultiStepLR",
        by_epoch=False,
        begin=0,
        end=max_iters,
        milestones=[60000, 80000],
        gamma=0.1,
    ),
]
