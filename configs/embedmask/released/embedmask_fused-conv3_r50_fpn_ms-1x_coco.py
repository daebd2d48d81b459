# Table 2, R-50, whose proposal head has no 1x1 convolutions ("Conv3" in the authors' program).
_base_ = "../embedmask_fused_r50_fpn_ms-1x_coco.py"

model = dict(bbox_head=dict(reduce_channels=None))
