# ResNeXt-50 instead of ResNet-50.
# Run:     bash tools/dist_train.sh \
#            configs/embedmask/backbones/embedmask_x50-32x4d_fpn_1x_coco.py 8
# Costs:   not measured here
# Reaches: not measured here
_base_ = "../embedmask_r50_fpn_1x_coco.py"

model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    backbone=dict(
        type="ResNeXt",
        groups=32,
        base_width=4,
        style="pytorch",
        init_cfg=dict(type="Pretrained", checkpoint="open-mmlab://resnext50_32x4d"),
    ),
)
