# MMDetection's SOLOv2 by the recipe of embedmask_r18_fpn_dsb2018.py: same backbone, channels,
# tower depth, data, schedule and seeds; grids and scale ranges are its own defaults.
# Run:     python tools/train.py configs/embedmask/peers/solov2_r18_fpn_dsb2018.py
# Costs:   not measured here; 1.01 s a step of 2 images of 256 px on one thread (docs/benchmark.md)
# Reaches: not measured here; 42.5 mask AP after 400 such steps (docs/benchmark.md)
_base_ = "../embedmask_r18_fpn_dsb2018.py"

norm_cfg = dict(type="GN", num_groups=32)

model = dict(
    _delete_=True,
    type="SOLOv2",
    data_preprocessor=_base_.model.data_preprocessor,
    backbone=_base_.model.backbone,
    neck=dict(
        type="FPN",
        in_channels=[64, 128, 256, 512],
        out_channels=128,
        start_level=0,
        num_outs=5,
    ),
    mask_head=dict(
        type="SOLOV2Head",
        num_classes=1,
        in_channels=128,
        feat_channels=256,
        stacked_convs=2,
        strides=[8, 8, 16, 32, 32],
        scale_ranges=((1, 96), (48, 192), (96, 384), (192, 768), (384, 2048)),
        pos_scale=0.2,
        num_grids=[40, 36, 24, 16, 12],
        cls_down_index=0,
        norm_cfg=norm_cfg,
        mask_feature_head=dict(
            feat_channels=128,
            start_level=0,
            end_level=3,
            out_channels=128,
            mask_stride=4,
            norm_cfg=norm_cfg,
        ),
        loss_mask=dict(type="DiceLoss", use_sigmoid=True, loss_weight=3.0),
        loss_cls=dict(type="FocalLoss", use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
    ),
    test_cfg=dict(
        nms_pre=500,
        score_thr=0.1,
        mask_thr=0.5,
        filter_thr=0.05,
        kernel="gaussian",
        sigma=2.0,
        max_per_img=100,
    ),
)

# It predicts no boxes.
val_evaluator = dict(metric=["segm"])
test_evaluator = val_evaluator

# The hook checks EmbedMask's heads.
custom_hooks = []
