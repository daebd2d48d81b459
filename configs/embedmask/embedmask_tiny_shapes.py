# Generated shapes below data/shapes, from scratch: the plain system in small.
# `make demo` draws the shapes.
# Run:     python tools/train.py configs/embedmask/embedmask_tiny_shapes.py
# Costs:   minutes on two CPU cores, not measured here more closely
# Reaches: 45.6 mask AP and 52.8 box AP on generated shapes val (ours, mean of three runs:
#          configs/embedmask/README.md)
_base_ = [
    "./_base_/embedmask_small.py",
    "./_base_/small_coco_format.py",
    "./_base_/adamw_short.py",
]

classes = ("ellipse", "polygon", "ring")
channels = 64
norm_cfg = dict(type="GN", num_groups=16, requires_grad=True)
head = dict(in_channels=channels, feat_channels=channels, norm_cfg=norm_cfg)
model = dict(
    backbone=dict(base_channels=32, norm_cfg=dict(_delete_=True, type="BN", requires_grad=True)),
    # Images of 128 pixels have no use for P6 and P7.
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=channels, num_outs=3),
    bbox_head=dict(
        num_classes=len(classes),
        strides=[8, 16, 32],
        regress_ranges=((-1, 64), (64, 128), (128, 1e8)),
        # The middle of a ring is its hole: points there must be allowed to find it.
        sample_in_mask=False,
        **head,
    ),
    mask_head=head,
)

data_root = "data/shapes/"
dataset = dict(
    data_root=data_root,
    metainfo=dict(classes=classes, palette=[(220, 20, 60), (0, 130, 200), (60, 180, 75)]),
)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + "annotations/instances_val.json")
test_evaluator = val_evaluator

max_iters = 1000
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=100),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=100, end=max_iters, eta_min=0),
]
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=max_iters))
