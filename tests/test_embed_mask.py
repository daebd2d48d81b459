"""The detector as a whole: loss, prediction, gradients."""

import pytest
import torch
from mmdet.registry import MODELS
from tiny import SYSTEMS, build_model, build_system, data_batch, model_cfg, total_loss


def predict(model, batch):
    model.eval()
    with torch.no_grad():
        return model.test_step(batch)


@pytest.mark.parametrize("counts", [[3, 2], [2, 0], [0, 0]])
@pytest.mark.parametrize("mask_proposals", ["best", "all"])
@pytest.mark.parametrize("upsample", ["probability", "embedding"])
def test_every_parameter_has_a_finite_gradient(counts, mask_proposals, upsample):
    model = build_model(
        bbox_head=dict(mask_proposals=mask_proposals), mask_head=dict(upsample=upsample)
    )
    loss, losses = total_loss(model, data_batch(counts))
    assert set(losses) == {"loss_cls", "loss_bbox", "loss_centerness", "loss_mask"}
    assert all(value.isfinite() for value in losses.values())
    assert (float(losses["loss_mask"]) > 0) == any(counts)
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("counts", [[3, 2], [2, 0], [0, 0]])
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_learns_with_every_parameter(system, counts):
    model = build_system(system)
    loss, losses = total_loss(model, data_batch(counts))
    assert ("loss_semantic" in losses) == (system == "fused")
    loss.backward()
    assert loss.isfinite()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    if any(counts):
        assert losses["loss_mask"] > 0
        assert sum(p.grad.abs().sum() for p in model.mask_head.parameters()) > 0


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_predicts_masks(system):
    model = build_system(system)
    if system in ("atss", "rtmdet"):
        model.bbox_head.test_cfg.min_bbox_size = -1
    for sample in predict(model, data_batch([2, 1], size=(61, 77))):
        results = sample.pred_instances
        assert sorted(results.keys()) == ["bboxes", "labels", "masks", "scores"]
        assert len(results) == 10 and results.masks.shape == (10, 61, 77)


@pytest.mark.parametrize(
    "backbone, neck",
    [
        (
            dict(type="ResNeXt", depth=50, groups=32, base_width=4),
            dict(in_channels=[256, 512, 1024, 2048]),
        ),
        (
            dict(
                type="SwinTransformer",
                embed_dims=24,
                depths=[1, 1, 1, 1],
                num_heads=[1, 2, 4, 8],
                out_indices=(1, 2, 3),
            ),
            dict(in_channels=[48, 96, 192], start_level=0),
        ),
        (
            dict(
                type="CSPNeXt",
                deepen_factor=0.33,
                widen_factor=0.125,
                out_indices=(1, 2, 3, 4),
                norm_cfg=dict(type="BN"),
                act_cfg=dict(type="SiLU"),
            ),
            dict(in_channels=[16, 32, 64, 128]),
        ),
    ],
    ids=["ResNeXt", "Swin", "CSPNeXt"],
)
def test_other_backbones_train_and_predict(backbone, neck):
    cfg = model_cfg()
    cfg.backbone = backbone
    cfg.neck.update(neck)
    model = MODELS.build(cfg)
    model.init_weights()
    loss, _ = total_loss(model, data_batch([2, 1]))
    loss.backward()
    assert loss.isfinite()
    assert not [name for name, p in model.named_parameters() if p.grad is None]
    (sample,) = predict(model, data_batch([1]))
    assert sample.pred_instances.masks.shape[1:] == (128, 160)


@pytest.mark.parametrize("iterations", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_loss_is_float32_and_finite_while_training_in_bfloat16(iterations):
    model = build_model()
    # With 64 x 64, P6 is one cell: torch 2.13's bfloat16 convolution of stride 2 on the CPU then
    # leaves uninitialised memory in its weight's gradient (seen on an AVX512-BF16 processor).
    batch = data_batch([3, 2], size=(128, 128))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    first = None
    for _ in range(iterations):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss, losses = total_loss(model, batch)
        assert losses["loss_mask"].dtype == torch.float32
        assert all(value.isfinite() for value in losses.values())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        first = first or float(loss)
    assert float(loss) < first


SIZES = {
    "odd": ((61, 77), (128, 160)),
    "aspect not kept": ((50, 200), (128, 128)),
    "one pixel wide": ((64, 1), (128, 2)),
    "upscaling": ((20, 30), (120, 180)),
    "downscaling": ((301, 403), (75, 101)),
}


@pytest.mark.parametrize("ori_shape, img_shape", SIZES.values(), ids=SIZES.keys())
def test_results_have_four_fields_at_the_original_size(ori_shape, img_shape):
    batch = data_batch([1], size=img_shape)
    factor = img_shape[1] / ori_shape[1], img_shape[0] / ori_shape[0]
    batch["data_samples"][0].set_metainfo(dict(ori_shape=ori_shape, scale_factor=factor))
    # An untrained model's boxes may have no width at all: they are kept here.
    (sample,) = predict(build_model(test_cfg=dict(min_bbox_size=-1)), batch)
    results = sample.pred_instances
    assert sorted(results.keys()) == ["bboxes", "labels", "masks", "scores"]
    assert len(results) > 0
    assert results.masks.shape == (len(results), *ori_shape)
    assert results.masks.dtype == torch.bool
    assert results.bboxes[:, 0::2].max() <= ori_shape[1] + 1e-3
    assert results.bboxes[:, 1::2].max() <= ori_shape[0] + 1e-3


def test_no_detections_give_empty_results_of_the_right_shape():
    model = build_model(test_cfg=dict(score_thr=0.999))
    (sample,) = predict(model, data_batch([1], size=(61, 77)))
    assert sample.pred_instances.masks.shape == (0, 61, 77)
    assert sample.pred_instances.bboxes.shape == (0, 4)


def test_images_of_one_batch_get_masks_of_their_own_sizes():
    a, b = data_batch([1], size=(64, 96)), data_batch([2], size=(50, 128))
    batch = {key: a[key] + b[key] for key in a}
    samples = predict(build_model(), batch)
    assert [s.pred_instances.masks.shape[1:] for s in samples] == [(64, 96), (50, 128)]


def test_tensor_mode_needs_no_ground_truth():
    outputs, (pixels,) = build_model().eval()(torch.zeros(1, 3, 64, 64), mode="tensor")
    assert [len(levels) for levels in outputs] == [5] * 5
    assert pixels.shape == (1, 5, 8, 8)


@pytest.mark.parametrize(
    "parts, message",
    [
        (
            dict(bbox_head=dict(embed_dim=8), mask_head=dict(embed_dim=16)),
            r"bbox_head.embed_dim=8 and mask_head.embed_dim=16 differ.*set both to the same",
        ),
        (
            dict(bbox_head=dict(strides=[4, 8, 16, 32, 64])),
            "finest stride is 4, but pixels are embedded on P3, of stride 8",
        ),
        (
            dict(bbox_head=dict(embedding="spatial_free")),
            "bbox_head.embedding='spatial_free' and mask_head.embedding='both' differ",
        ),
        (
            dict(mask_head=dict(semantic_branch=dict(type="SemanticBranch", num_classes=9))),
            "num_classes=3 and mask_head.semantic_branch.num_classes=9 differ",
        ),
        (dict(test_cfg=dict(mask_resize="nearest")), "test_cfg.mask_resize='nearest' is unknown"),
        (dict(test_cfg=dict(mask_format="png")), "test_cfg.mask_format='png' is unknown"),
        (dict(test_cfg=dict(score="root")), "test_cfg.score='root' is unknown"),
        (dict(test_cfg=dict(mask_thr=1.5)), "mask_thr=1.5 must be"),
        (dict(test_cfg=dict(mask_threshold=0.5)), "unknown keys"),
    ],
)
def test_wrong_configs_are_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(model_cfg(**parts))


def test_unpadded_masks_stop_the_first_loss():
    model = build_model()
    model.data_preprocessor.pad_mask = False
    with pytest.raises(ValueError, match="set data_preprocessor.pad_mask=True"):
        total_loss(model, data_batch([2], size=(61, 77)))


def test_a_mask_reaches_beyond_its_box_unless_cropped():
    batch = data_batch([1])
    torch.manual_seed(3)
    model = build_model(test_cfg=dict(mask_thr=0.01))
    whole = predict(model, batch)[0].pred_instances
    model.mask_head.test_cfg.crop_to_box = True
    cropped = predict(model, data_batch([1]))[0].pred_instances
    assert torch.equal(whole.bboxes, cropped.bboxes)
    assert (cropped.masks & ~whole.masks).sum() == 0
    xs = torch.arange(160) + 0.5
    for box, mask in zip(cropped.bboxes, cropped.masks, strict=True):
        # Two cells of 4 pixels, and half a cell that the bilinear resize spreads.
        outside = (xs < box[0] - 14) | (xs > box[2] + 14)
        assert not mask[:, outside].any()
    assert whole.masks.sum() > cropped.masks.sum()


def test_priors_are_whole_pixels_also_in_half_precision():
    model = build_model().eval()
    batch = data_batch([1], size=(32, 800))  # bfloat16 has steps of 4 pixels at 800
    data = model.data_preprocessor(batch, training=False)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        features = model.extract_feat(data["inputs"])
        (results,) = model.bbox_head.predict(features, data["data_samples"], rescale=False)
    assert results.positions.dtype == torch.float32
    assert (results.positions % 4 == 0).all() and (results.positions[:, 0] % 8 == 4).any()


@pytest.mark.parametrize("system", ("fused", "atss", "rtmdet", "coord_conv"))
def test_other_systems_learn_in_bfloat16(system):
    model = build_system(system)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, losses = total_loss(model, data_batch([2, 1]))
    assert losses["loss_mask"].dtype == torch.float32 and loss.isfinite()
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
