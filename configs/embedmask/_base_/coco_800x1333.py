# COCO 2017, shorter side 800, longer at most 1333, flipped with probability 0.5.
_base_ = "mmdet::_base_/datasets/coco_instance.py"

# Schedules count iterations: the sampler never ends.
train_dataloader = dict(sampler=dict(_delete_=True, type="InfiniteSampler", shuffle=True))

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
