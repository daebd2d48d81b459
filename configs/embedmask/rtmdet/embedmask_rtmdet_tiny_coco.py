# EmbedMask on RTMDet-tiny, by the recipe of MMDetection's RTMDet-Ins-tiny.
# Run:     bash tools/dist_train.sh configs/embedmask/rtmdet/embedmask_rtmdet_tiny_coco.py 8
# Costs:   not measured here
# Reaches: not measured here
_base_ = [
    "mmdet::rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py",
    "../_base_/embedmask_rtmdet_heads.py",
]

model = dict(
    type="EmbedMask",
    data_preprocessor=dict(pad_mask=True, pad_size_divisor=32),
    bbox_head=dict(
        _base_.rtmdet_bbox_head,
        _delete_=True,
        in_channels=96,
        feat_channels=96,
        exp_on_reg=False,
    ),
    mask_head=dict(_base_.rtmdet_mask_head, in_channels=96, feat_channels=96),
    test_cfg=dict(_base_.rtmdet_test_cfg, _delete_=True),
)

train_dataloader = dict(dataset=dict(type="CocoDatasetByName"))
val_dataloader = train_dataloader
test_dataloader = train_dataloader
val_evaluator = dict(type="CocoMetricByName")
test_evaluator = val_evaluator
custom_imports = dict(imports=["mmdet_embedmask"], allow_failed_imports=False)
custom_hooks = [*_base_.custom_hooks, dict(type="SetupCheckHook")]
default_hooks = dict(checkpoint=dict(type="AtomicCheckpointHook"))
tta_model = dict(type="EmbedMaskTTAModel")
# Of 8 GPUs, 32 images each: MMDetection's config names the 16 of its other recipes.
auto_scale_lr = dict(base_batch_size=256)
