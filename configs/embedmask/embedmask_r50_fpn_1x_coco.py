# Table 1, R-50, 1x, which is Table 3's row of 16 channels too.
# Run:     bash tools/dist_train.sh configs/embedmask/embedmask_r50_fpn_1x_coco.py 8
# Costs:   10.42 s and 3.71 GB a step of 2 images on two CPU cores (docs/benchmark.md);
#          on GPUs not measured here
# Reaches: 34.8 mask AP and 38.2 box AP on COCO test-dev, 34.8 mask AP on COCO minival
#          (the paper's)
_base_ = [
    "./_base_/embedmask_r50-caffe_fpn.py",
    "./_base_/coco_800x1333.py",
    "./_base_/sgd_90k.py",
]
