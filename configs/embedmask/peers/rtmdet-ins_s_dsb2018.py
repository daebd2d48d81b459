# MMDetection's RTMDet-Ins by the recipe of embedmask_rtmdet_s_dsb2018.py: same backbone, neck from
# P3 on, towers and assignment, data, schedule and seeds.
# Run:     python tools/train.py configs/embedmask/peers/rtmdet-ins_s_dsb2018.py
# Costs:   not measured here
# Reaches: not measured here
_base_ = "../rtmdet/embedmask_rtmdet_s_dsb2018.py"

ours = _base_.model
model = dict(
    _delete_=True,
    type="RTMDet",
    data_preprocessor=ours.data_preprocessor,
    # It has no use for P2.
    backbone=dict(ours.backbone, out_indices=(2, 3, 4)),
    neck=dict(ours.neck, in_channels=[128, 256, 512]),
    bbox_head=dict(
        type="RTMDetInsSepBNHead",
        num_classes=1,
        in_channels=128,
        feat_channels=128,
        stacked_convs=2,
        share_conv=True,
        pred_kernel_size=1,
        anchor_generator=ours.bbox_head.anchor_generator,
        bbox_coder=ours.bbox_head.bbox_coder,
        loss_cls=ours.bbox_head.loss_cls,
        loss_bbox=ours.bbox_head.loss_bbox,
        loss_mask=dict(type="DiceLoss", loss_weight=2.0, eps=5e-6, reduction="mean"),
        norm_cfg=ours.bbox_head.norm_cfg,
        act_cfg=ours.bbox_head.act_cfg,
    ),
    train_cfg=ours.train_cfg,
    test_cfg=dict(
        nms_pre=1000,
        min_bbox_size=0,
        score_thr=0.05,
        nms=dict(type="nms", iou_threshold=0.6),
        max_per_img=100,
        mask_thr_binary=0.5,
    ),
)

# The hook checks EmbedMask's heads.
custom_hooks = []
