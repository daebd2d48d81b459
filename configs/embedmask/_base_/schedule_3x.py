# 3x: 270k iterations, of which a config takes the number and the steps.
# Used by: embedmask_r101_fpn_ms-3x_coco, embedmask_fused_r101_fpn_ms-3x_coco
# They are copied when a config is read: change its schedule, not these.
iters_3x = 270000
train_cfg_3x = dict(max_iters=iters_3x)
steps_3x = dict(
    type="MultiStepLR",
    by_epoch=False,
    begin=0,
    end=iters_3x,
    milestones=[210000, 250000],
    gamma=0.1,
)
