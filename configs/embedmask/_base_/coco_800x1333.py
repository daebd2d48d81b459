# COCO 2017, shorter side 800, longer at most 1333, flipped with probability 0.5.
# Used by: embedmask_r50_fpn_1x_coco, embedmask_fused_r50_fpn_ms-1x_coco
_base_ = "mmdet::_base_/datasets/coco_instance.py"

# Labels follow the classes' names, and schedules count iterations: the sampler never ends.
train_dataloader = dict(
    sampler=dict(_delete_=True, type="InfiniteSampler", shuffle=True),
    dataset=dict(type="CocoDatasetByName"),
)
val_dataloader = dict(dataset=dict(type="CocoDatasetByName"))
test_dataloader = val_dataloader
val_evaluator = dict(type="CocoMetricByName")
test_evaluator = val_evaluator

# Views of `tools/test.py --tta`.
tta_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(
        type="TestTimeAug",
        transforms=[
            [dict(type="Resize", scale=(1333, side), keep_ratio=True) for side in (640, 800, 960)],
            [
                dict(type="RandomFlip", prob=0.0),
                dict(type="RandomFlip", prob=1.0, direction="horizontal"),
            ],
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
