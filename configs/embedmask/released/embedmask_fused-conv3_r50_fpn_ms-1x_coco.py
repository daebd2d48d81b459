# For weights of the authors' Table 2 program without 1x1 convolutions in its proposal head (its
# "Conv3"), converted by tools/model_converters/official_to_mmdet.py.
# Run:     python tools/test.py \
#            configs/embedmask/released/embedmask_fused-conv3_r50_fpn_ms-1x_coco.py OURS.pth
# Costs:   not measured here
# Reaches: not measured here
_base_ = "../embedmask_fused_r50_fpn_ms-1x_coco.py"

model = dict(bbox_head=dict(reduce_channels=None))
