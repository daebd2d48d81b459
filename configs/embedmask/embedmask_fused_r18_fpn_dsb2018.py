# Table 2's system on nuclei, by the recipe of embedmask_r18_fpn_dsb2018.py.
_base_ = ["./embedmask_r18_fpn_dsb2018.py", "./_base_/embedmask_fused_heads.py"]

model = dict(
    bbox_head=_base_.fused_bbox_head,
    mask_head=dict(
        _base_.fused_mask_head, semantic_branch=dict(type="SemanticBranch", num_classes=1)
    ),
    test_cfg=_base_.fused_test_cfg,
)
