# CSPNeXt-s, ConvNeXt-style with large depthwise kernels, instead of ResNet-50.
# Run:     bash tools/dist_train.sh \
#            configs/embedmask/backbones/embedmask_cspnext-s_fpn_1x_coco.py 8
# Costs:   not measured here
# Reaches: not measured here
_base_ = "../embedmask_r50_fpn_1x_coco.py"

checkpoint = "https://download.openmmlab.com/mmdetection/v3.0/rtmdet/cspnext_rsb_pretrain/cspnext-s_imagenet_600e.pth"  # noqa: E501
model = dict(
    data_preprocessor=dict(mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395]),
    backbone=dict(
        _delete_=True,
        type="CSPNeXt",
        deepen_factor=0.33,
        widen_factor=0.5,
        out_indices=(1, 2, 3, 4),
        channel_attention=True,
        norm_cfg=dict(type="BN"),
        act_cfg=dict(type="SiLU"),
        init_cfg=dict(type="Pretrained", prefix="backbone.", checkpoint=checkpoint),
    ),
    neck=dict(in_channels=[64, 128, 256, 512]),
)
