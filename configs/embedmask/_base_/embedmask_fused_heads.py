# What the fused system (the paper's Table 2) sets beyond the plain one; each setting works alone.
# Used by: embedmask_fused_r18_fpn_dsb2018, embedmask_fused_r50_fpn_ms-1x_coco
# A config takes these as its model's bbox_head, mask_head (with its number of classes for the
# semantic branch) and test_cfg.
# They are copied when a config is read: change its model, not these.
fused_bbox_head = dict(
    sample_in_mask=False,
    sampling_center="mask",
    mask_proposals="all",
    max_mask_proposals=500,
    reduce_channels=128,
)
fused_mask_head = dict(
    tower="fused",
    feat_channels=128,
    norm_cfg=dict(type="BN", requires_grad=True),
    learnable_position_scale=False,
    upsample_mode="aligned",
    mask_target="point",
    mask_loss_mean="proposals",
    loss_mask=dict(type="LovaszHingeLoss", loss_weight=1.0),
    semantic_branch=dict(type="SemanticBranch"),
)
# Targets are read at pixel 4i + 2: aligned, masks are resized from there too.
# Boxes of no size are dropped after clipping, and not before.
fused_test_cfg = dict(
    score="sqrt",
    clip_boxes="after_nms",
    min_bbox_size=-1,
    mask_thr=0.5,
    mask_resize="aligned",
)
