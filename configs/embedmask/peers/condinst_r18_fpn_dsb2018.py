# MMDetection's CondInst by the recipe of embedmask_r18_fpn_dsb2018.py: same backbone, neck, tower
# depth and width, data, schedule and seeds.
# Run:     python tools/train.py configs/embedmask/peers/condinst_r18_fpn_dsb2018.py
# Costs:   not measured here; 0.51 s a step of 2 images of 256 px on one thread (docs/benchmark.md)
# Reaches: 65.6 mask AP and 60.1 box AP on dsb2018 val (ours, mean of seeds 0, 1, 2:
#          docs/experiments.md)
_base_ = "../embedmask_r18_fpn_dsb2018.py"

model = dict(
    type="CondInst",
    test_cfg=dict(mask_thr=0.5),
    bbox_head=dict(
        _delete_=True,
        type="CondInstBboxHead",
        num_params=169,
        num_classes=1,
        in_channels=128,
        feat_channels=128,
        stacked_convs=2,
        strides=[8, 16, 32, 64, 128],
        norm_on_bbox=True,
        centerness_on_reg=True,
        center_sampling=True,
        conv_bias=True,
        loss_bbox=dict(type="GIoULoss", loss_weight=1.0),
    ),
    mask_head=dict(
        _delete_=True,
        type="CondInstMaskHead",
        num_layers=3,
        feat_channels=8,
        size_of_interest=8,
        mask_out_stride=4,
        max_masks_to_train=300,
        mask_feature_head=dict(
            in_channels=128,
            feat_channels=128,
            start_level=0,
            end_level=2,
            out_channels=8,
            mask_stride=8,
            num_stacked_convs=2,
            norm_cfg=dict(type="GN", num_groups=32),
        ),
        loss_mask=dict(type="DiceLoss", use_sigmoid=True, activate=True, eps=5e-6, loss_weight=1.0),
    ),
)

# The hook checks EmbedMask's heads.
custom_hooks = []
