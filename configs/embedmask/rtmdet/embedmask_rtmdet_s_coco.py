# EmbedMask on RTMDet-s, with its boxes, by the recipe of MMDetection's RTMDet-Ins-s.
# Run:     bash tools/dist_train.sh configs/embedmask/rtmdet/embedmask_rtmdet_s_coco.py 8
# Costs:   not measured here
# Reaches: not measured here
_base_ = [
    "mmdet::rtmdet/rtmdet-ins_s_8xb32-300e_coco.py",
    "../_base_/embedmask_rtmdet_heads.py",
    "../_base_/embedmask_rtmdet_coco.py",
]

channels = 128
model = dict(
    type="EmbedMask",
    data_preprocessor=_base_.rtmdet_preprocessor,
    bbox_head=dict(
        _base_.rtmdet_bbox_head,
        _delete_=True,
        in_channels=channels,
        feat_channels=channels,
        exp_on_reg=False,
    ),
    mask_head=dict(_base_.rtmdet_mask_head, in_channels=channels, feat_channels=channels),
    test_cfg=dict(_base_.rtmdet_test_cfg, _delete_=True),
)

train_dataloader = _base_.rtmdet_train_dataloader
val_dataloader = _base_.rtmdet_val_dataloader
test_dataloader = val_dataloader
test_pipeline = _base_.rtmdet_test_pipeline
tta_pipeline = _base_.rtmdet_tta_pipeline
tta_model = dict(type="EmbedMaskTTAModel")
val_evaluator = _base_.rtmdet_evaluator
test_evaluator = val_evaluator
custom_imports = _base_.rtmdet_imports
custom_hooks = [*_base_.custom_hooks, dict(type="SetupCheckHook")]
default_hooks = _base_.rtmdet_hooks
auto_scale_lr = _base_.rtmdet_auto_scale_lr
