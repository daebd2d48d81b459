# The plain system (the paper's Table 1) with a ResNet-50 of MSRA weights (sections 3 and 4.1).
# Used by: embedmask_r50_fpn_1x_coco, embedmask_fused_r50_fpn_ms-1x_coco, embedmask_small
num_classes = 80
embed_dim = 16

model = dict(
    type="EmbedMask",
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean=[102.9801, 115.9465, 122.7717],
        std=[1.0, 1.0, 1.0],
        bgr_to_rgb=False,
        pad_mask=True,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type="ResNet",
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=1,
        norm_cfg=dict(type="BN", requires_grad=False),
        norm_eval=True,
        style="caffe",
        init_cfg=dict(type="Pretrained", checkpoint="open-mmlab://detectron/resnet50_caffe"),
    ),
    neck=dict(
        type="FPN",
        in_channels=[256, 512, 1024, 2048],
        out_channels=256,
        start_level=1,
        add_extra_convs="on_output",
        num_outs=5,
        relu_before_extra_convs=True,
    ),
    bbox_head=dict(
        type="EmbedMaskHead",
        num_classes=num_classes,
        in_channels=256,
        strides=[8, 16, 32, 64, 128],
        embed_dim=embed_dim,
    ),
    mask_head=dict(type="PixelEmbedHead", in_channels=256, embed_dim=embed_dim),
    test_cfg=dict(
        nms_pre=1000,
        min_bbox_size=0,
        score_thr=0.05,
        nms=dict(type="nms", iou_threshold=0.6),
        max_per_img=100,
        mask_thr=0.52,
    ),
)
