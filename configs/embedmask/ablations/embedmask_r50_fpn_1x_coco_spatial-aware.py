# Table 3: the spatial-aware part alone: 30.8 mask AP on minival (the paper's).
_base_ = "../embedmask_r50_fpn_1x_coco.py"

model = dict(bbox_head=dict(embedding="spatial_aware"), mask_head=dict(embedding="spatial_aware"))
