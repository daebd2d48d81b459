# The coupling on ATSS, by the recipe of embedmask_r18_fpn_dsb2018.py.
_base_ = "../embedmask_r18_fpn_dsb2018.py"

model = dict(
    bbox_head=dict(
        _delete_=True,
        type="EmbedMaskATSSHead",
        num_classes=1,
        in_channels=128,
        feat_channels=128,
        stacked_convs=2,
        margin_reduce_factor=1.0,
        anchor_generator=dict(
            type="AnchorGenerator",
            ratios=[1.0],
            # Nuclei are about 20 pixels wide: anchors of 4 strides, not COCO's 8.
            octave_base_scale=4,
            scales_per_octave=1,
            strides=[8, 16, 32, 64, 128],
        ),
        bbox_coder=dict(type="DeltaXYWHBBoxCoder", target_stds=[0.1, 0.1, 0.2, 0.2]),
        loss_cls=dict(type="FocalLoss", use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_bbox=dict(type="GIoULoss", loss_weight=2.0),
        loss_centerness=dict(type="CrossEntropyLoss", use_sigmoid=True, loss_weight=1.0),
    ),
    train_cfg=dict(assigner=dict(type="ATSSAssigner", topk=9), allowed_border=-1, pos_weight=-1),
)
