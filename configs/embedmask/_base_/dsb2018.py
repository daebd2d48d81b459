# Nuclei of the 2018 Data Science Bowl. Below data/dsb2018: train/, val/ and
# instances_{train,val}.json.
# Used by: embedmask_r18_fpn_dsb2018, mask-rcnn_r18_fpn_dsb2018
_base_ = "./small_coco_format.py"

data_root = "data/dsb2018/"
metainfo = dict(classes=("nucleus",), palette=[(220, 20, 60)])
resize = dict(type="Resize", scale=(352, 352), keep_ratio=True)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    resize,
    dict(type="RandomFlip", prob=[0.25] * 3, direction=["horizontal", "vertical", "diagonal"]),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    resize,
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        data_root=data_root,
        ann_file="instances_train.json",
        metainfo=metainfo,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file="instances_val.json",
        metainfo=metainfo,
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + "instances_val.json")
test_evaluator = val_evaluator

# Views of `tools/test.py --tta`.
tta_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(
        type="TestTimeAug",
        transforms=[
            [dict(type="Resize", scale=(side, side), keep_ratio=True) for side in (288, 352, 416)],
            _base_.tta_flips,
            _base_.tta_pack,
        ],
    ),
]
