# 1x: 90k iterations at batch 16 (paper section 4.1, method of FCOS).
# Used by: embedmask_r50_fpn_1x_coco, embedmask_fused_r50_fpn_ms-1x_coco
_base_ = "./embedmask_runtime.py"

max_iters = 90000

train_cfg = dict(type="IterBasedTrainLoop", max_iters=max_iters, val_interval=10000)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")

param_scheduler = [
    dict(type="ConstantLR", factor=1.0 / 3, by_epoch=False, begin=0, end=500),
    dict(
        type="MultiStepLR",
        by_epoch=False,
        begin=0,
        end=max_iters,
        milestones=[60000, 80000],
        gamma=0.1,
    ),
]

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=0.0001),
    # Every parameter whose name holds "bias", those of norms included: twice the rate, no decay.
    paramwise_cfg=dict(custom_keys=dict(bias=dict(lr_mult=2.0, decay_mult=0.0))),
)

auto_scale_lr = dict(enable=False, base_batch_size=16)
