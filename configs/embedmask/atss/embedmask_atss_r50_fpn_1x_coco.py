# The coupling on ATSS instead of FCOS; no published result.
_base_ = ["../embedmask_r50_fpn_1x_coco.py", "../_base_/embedmask_atss_head.py"]

model = dict(bbox_head=dict(_base_.atss_bbox_head, _delete_=True), train_cfg=_base_.atss_train_cfg)
