# What the COCO configs on RTMDet share beside their heads.
# Used by: embedmask_rtmdet_m_coco, embedmask_rtmdet_s_coco, embedmask_rtmdet_tiny_coco
# They are built on MMDetection's configs as well, and two bases of a config cannot set the same
# name: each takes these by name. They are copied when a config is read: change its settings, not
# these.
rtmdet_preprocessor = dict(pad_mask=True, pad_size_divisor=32)
# Without the Pad of MMDetection's own, whose image is then the padded one: masks would be stretched
# with it. The data preprocessor pads.
rtmdet_test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(640, 640), keep_ratio=True),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]
rtmdet_tta_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(
        type="TestTimeAug",
        transforms=[
            [dict(type="Resize", scale=(side, side), keep_ratio=True) for side in (640, 320, 960)],
            [dict(type="RandomFlip", prob=1.0), dict(type="RandomFlip", prob=0.0)],
            [
                dict(
                    type="PackDetInputs",
                    meta_keys=(
                        "img_id",
                        "img_path",
                        "ori_shape",
                        "img_shape",
                        "scale_factor",
                        "flip",
                        "flip_direction",
                    ),
                )
            ],
        ],
    ),
]
rtmdet_train_dataloader = dict(dataset=dict(type="CocoDatasetByName"))
rtmdet_val_dataloader = dict(dataset=dict(type="CocoDatasetByName", pipeline=rtmdet_test_pipeline))
rtmdet_evaluator = dict(type="CocoMetricByName")
rtmdet_imports = dict(imports=["mmdet_embedmask"], allow_failed_imports=False)
rtmdet_hooks = dict(checkpoint=dict(type="AtomicCheckpointHook"))
# Of 8 GPUs, 32 images each: MMDetection's config names the 16 of its other recipes.
rtmdet_auto_scale_lr = dict(base_batch_size=256)
