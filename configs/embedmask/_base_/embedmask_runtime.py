# What every config of this project runs with, those on MMDetection's RTMDet recipes aside.
# Used by: adamw_short, sgd_90k
_base_ = "mmdet::_base_/default_runtime.py"

custom_imports = dict(imports=["mmdet_embedmask"], allow_failed_imports=False)
custom_hooks = [dict(type="SetupCheckHook")]

# All schedules here count iterations, as the paper does.
default_hooks = dict(
    checkpoint=dict(type="AtomicCheckpointHook", by_epoch=False, interval=10000, max_keep_ckpts=3)
)
log_processor = dict(by_epoch=False)

# With `tools/test.py --tta`: views are merged as the detector's own boxes are.
tta_model = dict(
    type="EmbedMaskTTAModel",
    tta_cfg=dict(nms=dict(type="nms", iou_threshold=0.6), max_per_img=100),
)
