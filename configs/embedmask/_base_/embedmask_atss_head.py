# A proposal head on ATSS instead of FCOS, of COCO's classes.
# Used by: embedmask_atss_r18_fpn_dsb2018, embedmask_atss_r50_fpn_1x_coco
# A config takes atss_bbox_head as its model's bbox_head, with _delete_=True, and atss_train_cfg as
# its train_cfg. They are copied when a config is read: change its model, not these.
atss_bbox_head = dict(
    type="EmbedMaskATSSHead",
    num_classes=80,
    in_channels=256,
    anchor_generator=dict(
        type="AnchorGenerator",
        ratios=[1.0],
        octave_base_scale=8,
        scales_per_octave=1,
        strides=[8, 16, 32, 64, 128],
    ),
    bbox_coder=dict(type="DeltaXYWHBBoxCoder", target_stds=[0.1, 0.1, 0.2, 0.2]),
    loss_cls=dict(type="FocalLoss", use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
    loss_bbox=dict(type="GIoULoss", loss_weight=2.0),
    loss_centerness=dict(type="CrossEntropyLoss", use_sigmoid=True, loss_weight=1.0),
)
atss_train_cfg = dict(assigner=dict(type="ATSSAssigner", topk=9), allowed_border=-1, pos_weight=-1)
