# The coupling on ATSS instead of FCOS.
# Run:     bash tools/dist_train.sh configs/embedmask/atss/embedmask_atss_r50_fpn_1x_coco.py 8
# Costs:   not measured here
# Reaches: not measured here
_base_ = ["../embedmask_r50_fpn_1x_coco.py", "../_base_/embedmask_atss_head.py"]

model = dict(bbox_head=dict(_base_.atss_bbox_head, _delete_=True), train_cfg=_base_.atss_train_cfg)
