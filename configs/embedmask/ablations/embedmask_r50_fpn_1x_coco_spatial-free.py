# Table 3: the spatial-free part alone: 33.3 mask AP on minival (the paper's).
_base_ = "../embedmask_r50_fpn_1x_coco.py"

model = dict(bbox_head=dict(embedding="spatial_free"), mask_head=dict(embedding="spatial_free"))
