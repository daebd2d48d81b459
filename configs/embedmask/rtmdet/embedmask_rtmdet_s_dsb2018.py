# The coupling on RTMDet-s with pixels at stride 4, for small objects: by the recipe of
# embedmask_r18_fpn_dsb2018.py, with GroupNorm for small batches.
# Run:     python tools/train.py configs/embedmask/rtmdet/embedmask_rtmdet_s_dsb2018.py
# Costs:   not measured here
# Reaches: not measured here
_base_ = ["../embedmask_r18_fpn_dsb2018.py", "../_base_/embedmask_rtmdet_heads.py"]

norm_cfg = dict(type="GN", num_groups=16, requires_grad=True)
act_cfg = dict(type="SiLU", inplace=True)
model = dict(
    backbone=dict(
        _delete_=True,
        type="CSPNeXt",
        deepen_factor=0.33,
        widen_factor=0.5,
        out_indices=(1, 2, 3, 4),
        channel_attention=True,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
    ),
    # From P2 on, which the pixel head alone reads.
    neck=dict(
        _delete_=True,
        type="CSPNeXtPAFPN",
        in_channels=[64, 128, 256, 512],
        out_channels=128,
        num_csp_blocks=1,
        expand_ratio=0.5,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
    ),
    bbox_head=dict(
        _base_.rtmdet_bbox_head,
        _delete_=True,
        num_classes=1,
        in_channels=128,
        feat_channels=128,
        exp_on_reg=True,
        margin_reduce_factor=1.0,
        norm_cfg=dict(norm_cfg, num_groups=32),
    ),
    mask_head=dict(
        _base_.rtmdet_fine_mask_head,
        in_channels=128,
        feat_channels=128,
        norm_cfg=dict(norm_cfg, num_groups=32),
    ),
    train_cfg=_base_.rtmdet_train_cfg,
    test_cfg=_base_.rtmdet_fine_test_cfg,
)
