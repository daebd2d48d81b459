# Table 1, R-50: 34.8 mask AP and 38.2 box AP on test-dev (the paper's).
_base_ = [
    "./_base_/embedmask_r50-caffe_fpn.py",
    "./_base_/coco_800x1333.py",
    "./_base_/sgd_90k.py",
]
