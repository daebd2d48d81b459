# For R-50 weights of the authors' Table 1 program, converted by
# tools/model_converters/official_to_mmdet.py.
# Run:     python tools/test.py \
#            configs/embedmask/released/embedmask_r50_fpn_1x_coco_released.py OURS.pth
# Costs:   not measured here
# Reaches: not measured here
_base_ = "../embedmask_r50_fpn_1x_coco.py"

model = dict(
    # What these weights were trained with: the pixel embedding is resized to stride 4, and coupled
    # there. The paper's text, and so the default, resizes the probability.
    mask_head=dict(upsample="embedding"),
    # That program cuts masks two stride-4 cells outside their box; the paper needs no cut. Its
    # boxes end with their last pixel: without one pixel more they are too narrow and too short, and
    # those that seem to have no width are one pixel wide.
    test_cfg=dict(crop_to_box=True, inclusive_boxes=True, min_bbox_size=-1),
)
