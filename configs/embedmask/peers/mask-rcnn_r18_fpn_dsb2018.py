# MMDetection's Mask R-CNN by the recipe of embedmask_r18_fpn_dsb2018.py: same backbone, channels,
# data, schedule and seeds. It needs RoIAlign: compiled MMCV, or torchvision.
# Run:     python tools/train.py configs/embedmask/peers/mask-rcnn_r18_fpn_dsb2018.py
# Costs:   not measured here; 3.25 s a step of 2 images of 256 px on one thread (docs/benchmark.md)
# Reaches: not measured here; 68.8 mask AP and 63.6 box AP after 400 such steps (docs/benchmark.md)
_base_ = [
    "mmdet::_base_/models/mask-rcnn_r50_fpn.py",
    "../_base_/dsb2018.py",
    "../_base_/adamw_short.py",
]

channels = 128

model = dict(
    backbone=dict(
        depth=18,
        frozen_stages=-1,
        norm_cfg=dict(type="GN", num_groups=32, requires_grad=True),
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=channels),
    # Anchors of half the default size: nuclei are about 15 pixels wide.
    rpn_head=dict(
        in_channels=channels,
        feat_channels=channels,
        anchor_generator=dict(scales=[4]),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels),
        bbox_head=dict(in_channels=channels, num_classes=1),
        mask_roi_extractor=dict(out_channels=channels),
        mask_head=dict(in_channels=channels, conv_out_channels=channels, num_classes=1),
    ),
)

# The hook checks EmbedMask's heads.
custom_hooks = []
