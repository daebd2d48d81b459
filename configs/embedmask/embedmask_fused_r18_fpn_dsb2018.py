# The fused system on nuclei, by the recipe of embedmask_r18_fpn_dsb2018.py.
# Run:     python tools/train.py configs/embedmask/embedmask_fused_r18_fpn_dsb2018.py
# Costs:   not measured here; 0.44 s a step of 2 images of 256 px on one thread (docs/benchmark.md)
# Reaches: 67.7 mask AP and 59.1 box AP on dsb2018 val (ours, mean of seeds 0, 1, 2,
#          by earlier code: docs/experiments.md)
_base_ = ["./embedmask_r18_fpn_dsb2018.py", "./_base_/embedmask_fused_heads.py"]

model = dict(
    bbox_head=_base_.fused_bbox_head,
    mask_head=dict(
        _base_.fused_mask_head, semantic_branch=dict(type="SemanticBranch", num_classes=1)
    ),
    test_cfg=_base_.fused_test_cfg,
)
