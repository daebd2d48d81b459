# Table 3: the spatial-aware part alone.
# Run:     bash tools/dist_train.sh \
#            configs/embedmask/ablations/embedmask_r50_fpn_1x_coco_spatial-aware.py 8
# Costs:   not measured here
# Reaches: 30.8 mask AP on COCO minival (the paper's)
_base_ = "../embedmask_r50_fpn_1x_coco.py"

model = dict(bbox_head=dict(embedding="spatial_aware"), mask_head=dict(embedding="spatial_aware"))
