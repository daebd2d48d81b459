# A small EmbedMask that learns from scratch: ResNet-18 with GroupNorm, 128-channel FPN, towers of
# two convolutions.
# Used by: embedmask_r18_fpn_dsb2018, embedmask_tiny_shapes
_base_ = "./embedmask_r50-caffe_fpn.py"

norm_cfg = dict(type="GN", num_groups=32, requires_grad=True)
channels = 128

model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    backbone=dict(
        depth=18,
        frozen_stages=-1,
        norm_cfg=norm_cfg,
        norm_eval=False,
        style="pytorch",
        init_cfg=None,
    ),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=channels),
    # The margin reads the box tower at full strength: over a thirty-second of it, in a few hundred
    # steps of AdamW, the log-margin cannot grow by the several units that small objects need.
    bbox_head=dict(
        in_channels=channels, feat_channels=channels, stacked_convs=2, margin_reduce_factor=1.0
    ),
    mask_head=dict(in_channels=channels, feat_channels=channels, stacked_convs=2),
    test_cfg=dict(mask_thr=0.5),
)
