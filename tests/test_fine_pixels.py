"""A pixel embedding at stride 4, from the targets that it learns to the masks that it predicts."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from mmdet.registry import MODELS
from tiny import (
    FUSED_BBOX_HEAD,
    FUSED_MASK_HEAD,
    build_fine,
    build_model,
    data_batch,
    fine_cfg,
    model_cfg,
    total_loss,
    views_of,
)

from mmdet_embedmask import EmbedMaskTTAModel
from mmdet_embedmask.functional.dense_masks import dense_masks
from mmdet_embedmask.inspection import inspect_batch

ways = pytest.mark.parametrize("reads_p2", [False, True])


@ways
def test_pixels_have_stride_4_and_their_own_positions(reads_p2):
    model = build_fine(reads_p2).eval()
    features = model.extract_feat(torch.rand(1, 3, 64, 96))
    (pixels,) = model.mask_head(features)
    assert pixels.shape == (1, 5, 16, 24)
    with torch.no_grad():
        for part in model.mask_head.embedding_prediction.children():
            part.weight.zero_()
            part.bias.zero_()
    (pixels,) = model.mask_head(features)
    torch.testing.assert_close(pixels[0, 0, 0], (torch.arange(24) * 4 + 2) / 100)
    torch.testing.assert_close(pixels[0, 1, :, 0], (torch.arange(16) * 4 + 2) / 100)


def test_p2_is_added_to_the_tower_on_p3():
    model = build_fine(reads_p2=True).eval()
    features = model.extract_feat(torch.rand(1, 3, 64, 96))
    assert [level.shape[-1] for level in features] == [24, 12, 6, 3, 2, 1]
    head = model.mask_head
    tower = F.interpolate(head.tower(features[1:]), scale_factor=2, mode="bilinear")
    expected = head.embedding_prediction(tower + head.refine_p2(features[0]), 4)
    (pixels,) = head(features)
    torch.testing.assert_close(pixels[:, 2:], expected[:, 2:])


@ways
def test_the_loss_reads_targets_at_stride_2(reads_p2, monkeypatch):
    shapes = []
    from mmdet_embedmask.heads import pixel_embed_head

    losses = pixel_embed_head.mask_losses
    monkeypatch.setattr(
        pixel_embed_head,
        "mask_losses",
        lambda *a, **b: shapes.append((a[0].shape, b["targets"].shape)) or losses(*a, **b),
    )
    loss, _ = total_loss(build_fine(reads_p2), data_batch([3]))
    assert loss.isfinite() and shapes == [((5, 32, 40), (3, 64, 80))]


@ways
def test_masks_are_the_definition_s_with_cells_of_two_pixels(reads_p2):
    model = build_fine(reads_p2).eval()
    (image,) = inspect_batch(model, data_batch([1]))
    assert (image.stride, image.mask_stride) == (4, 2)
    assert image.probability.shape[1:] == (64, 80) and len(image.scores) > 3
    with torch.no_grad():
        (found,) = model.test_step(data_batch([1]))
    recipe = model.mask_head.mask_recipe
    expected = dense_masks(
        image.pixel_embedding,
        image.proposal_embedding,
        image.proposal_margin,
        image.bboxes,
        img_shape=(128, 160),
        size=(128, 160),
        recipe=recipe,
    )
    masks = found.pred_instances.masks
    assert 0 < masks.sum() < masks.numel()
    assert (masks != expected).sum() <= 1 and (image.masks(recipe.mask_thr) != masks).sum() <= 1


@ways
def test_a_flipped_view_of_the_flipped_image_gives_the_image_s_masks(reads_p2):
    model = build_fine(reads_p2).eval()
    tta = EmbedMaskTTAModel(model, dict(nms=dict(type="nms", iou_threshold=0.6), max_per_img=10))
    with torch.no_grad():
        (plain,) = model.test_step(data_batch([1]))
        (merged,) = tta.test_step(views_of(data_batch([1]), None))
    a, b = plain.pred_instances, merged.pred_instances
    assert len(a) == len(b) > 3 and (a.masks != b.masks).float().mean() < 1e-5


def test_the_fused_system_reads_p2_beside_p3_to_p5_and_learns_classes_on_p3():
    model = build_fine(True, bbox_head=FUSED_BBOX_HEAD, mask_head=FUSED_MASK_HEAD)
    loss, losses = total_loss(model, data_batch([2, 1]))
    loss.backward()
    assert losses["loss_semantic"].isfinite() and loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_weights_of_stride_8_load_into_the_finer_head():
    state = build_model().state_dict()
    assert build_fine(reads_p2=False).load_state_dict(state, strict=True)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(stride=16), "stride=16 is unknown: choose one of \\(8, 4\\)"),
        (dict(reads_p2=True), "reads_p2=True with stride=8"),
        (
            dict(stride=4, reads_p2=True),
            "neck.num_outs=5, but .* start_level=0",
        ),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(model_cfg(mask_head=options))


def test_a_neck_that_begins_with_p2_for_nobody_is_refused():
    cfg = fine_cfg(reads_p2=True)
    cfg.mask_head.reads_p2 = False
    with pytest.raises(ValueError, match="set neck.num_outs=5"):
        MODELS.build(cfg)
    head = build_model().bbox_head
    with pytest.raises(ValueError, match="the neck has 3 levels, but bbox_head has strides for 5"):
        head(tuple(torch.rand(1, 16, 8, 8) for _ in range(3)))
