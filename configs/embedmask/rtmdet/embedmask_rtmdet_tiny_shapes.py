# Generated shapes below data/shapes, from scratch, with RTMDet's head on a small YOLOX and pixels
# at stride 4: `make demo` draws them and runs this config.
# Run:     python tools/train.py configs/embedmask/rtmdet/embedmask_rtmdet_tiny_shapes.py
# Costs:   not measured here
# Reaches: not measured here
_base_ = ["../embedmask_tiny_shapes.py", "../_base_/embedmask_rtmdet_heads.py"]

channels = 64
norm_cfg = dict(type="BN", requires_grad=True)
act_cfg = dict(type="SiLU", inplace=True)
head = dict(
    in_channels=channels,
    feat_channels=channels,
    norm_cfg=dict(type="GN", num_groups=16, requires_grad=True),
)
model = dict(
    # Without the 5 x 5 depthwise convolutions of CSPNeXt, which are slow on a CPU.
    backbone=dict(
        _delete_=True,
        type="CSPDarknet",
        deepen_factor=0.167,
        widen_factor=0.25,
        out_indices=(1, 2, 3, 4),
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
    ),
    # From P2 on, which the pixel head alone reads.
    neck=dict(
        _delete_=True,
        type="YOLOXPAFPN",
        in_channels=[32, 64, 128, 256],
        out_channels=channels,
        num_csp_blocks=1,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
    ),
    bbox_head=dict(
        _base_.rtmdet_bbox_head,
        _delete_=True,
        num_classes=len(_base_.classes),
        exp_on_reg=True,
        margin_reduce_factor=1.0,
        **head,
    ),
    mask_head=dict(_base_.rtmdet_fine_mask_head, **head),
    train_cfg=_base_.rtmdet_train_cfg,
    test_cfg=_base_.rtmdet_fine_test_cfg,
)

# As long by the clock as 1000 of the plain system's.
max_iters = 700
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=70),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=70, end=max_iters, eta_min=0),
]
default_hooks = dict(checkpoint=dict(interval=max_iters))
