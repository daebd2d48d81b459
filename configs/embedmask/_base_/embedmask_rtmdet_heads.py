# EmbedMask's heads on RTMDet (ours), of COCO's classes.
# Used by: embedmask_rtmdet_m_coco, embedmask_rtmdet_s_coco, embedmask_rtmdet_s_dsb2018,
#          embedmask_rtmdet_tiny_coco, embedmask_rtmdet_tiny_shapes
# A config takes these in its model and sets the channels. They are copied when a config is read:
# change its model, not these.
rtmdet_bbox_head = dict(
    type="EmbedMaskRTMDetHead",
    num_classes=80,
    stacked_convs=2,
    embed_dim=16,
    coupling_unit="level",
    mask_proposals="all",
    with_objectness=False,
    anchor_generator=dict(type="MlvlPointGenerator", offset=0, strides=[8, 16, 32]),
    bbox_coder=dict(type="DistancePointBBoxCoder"),
    loss_cls=dict(type="QualityFocalLoss", use_sigmoid=True, beta=2.0, loss_weight=1.0),
    loss_bbox=dict(type="GIoULoss", loss_weight=2.0),
    norm_cfg=dict(type="SyncBN", requires_grad=True),
    act_cfg=dict(type="SiLU", inplace=True),
)
rtmdet_mask_head = dict(
    type="PixelEmbedHead",
    stacked_convs=4,
    embed_dim=16,
    mask_loss_mean="proposals",
    norm_cfg=dict(type="SyncBN", requires_grad=True),
    loss_mask=dict(type="LovaszHingeLoss", loss_weight=1.0),
)
# For small objects and short runs. Targets are of one point a cell, and masks resized from where it
# lies: others are up to a pixel larger than the masks.
rtmdet_fine_mask_head = dict(
    rtmdet_mask_head,
    stacked_convs=2,
    stride=4,
    reads_p2=True,
    mask_target="point",
    upsample_mode="aligned",
)
rtmdet_fine_test_cfg = dict(mask_thr=0.5, mask_resize="aligned")
rtmdet_train_cfg = dict(
    assigner=dict(type="DynamicSoftLabelAssigner", topk=13), allowed_border=-1, pos_weight=-1
)
rtmdet_test_cfg = dict(
    nms_pre=1000,
    min_bbox_size=0,
    score_thr=0.05,
    nms=dict(type="nms", iou_threshold=0.6),
    max_per_img=100,
    mask_thr=0.5,
)
