# What Table 2's system sets beyond Table 1's; every line also works alone. A config takes these as
# its model's bbox_head, mask_head (with the classes of its semantic branch) and test_cfg.
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
