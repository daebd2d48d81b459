# Table 3: the margin fixed, with 8 channels: 33.9 mask AP on minival (the paper's).
_base_ = "./embedmask_r50_fpn_1x_coco_d8.py"

model = dict(bbox_head=dict(learnable_margin=False))
