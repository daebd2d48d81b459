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
def test_one_view_and_a_view_of_the_flipped_image_give_the_image_s_masks(reads_p2):
    model = build_fine(reads_p2).eval()
    tta = EmbedMaskTTAModel(model, dict(nms=dict(type="nms", iou_threshold=0.6), max_per_img=10))
    with torch.no_grad():
        (plain,) = model.test_step(data_batch([1]))
        (merged,) = tta.test_step(views_of(data_batch([1]), None))
    a, b = plain.pred_instances, merged.pred_instances
    assert len(a) == len(b) > 3 and (a.masks != b.masks).float().mean() < 1e-5
    # Of the image flipped beforehand, and told to be a flip: the same pixels, in the end mirrored.
    told = views_of(data_batch([1]), "horizontal")
    told["inputs"] = [[image.flip(2) for image in told["inputs"][0]]]
    with torch.no_grad():
        (mirrored,) = tta.test_step(told)
    flipped = mirrored.pred_instances.masks.flip(2)
    assert flipped.shape == a.masks.shape and (flipped != a.masks).float().mean() < 1e-5


@ways
def test_masks_that_are_cropped_end_two_cells_of_two_pixels_outside_their_box(reads_p2):
    model = build_fine(reads_p2, test_cfg=dict(mask_thr=0.01, crop_to_box=True)).eval()
    (image,) = inspect_batch(model, data_batch([1]))
    columns = torch.arange(80)
    for box, probability in zip(image.bboxes, image.probability, strict=True):
        left, right = int(box[0] / 2) - 2, int(box[2] / 2) + 2
        outside = (columns < left) | (columns >= right)
        assert not probability[:, outside].any() and probability[:, ~outside].any()


def test_coordinates_of_coord_conv_have_the_stride_of_the_pixels():
    parts = dict(bbox_head=dict(embedding="coord_conv"), mask_head=dict(embedding="coord_conv"))
    model = build_fine(False, **parts).eval()
    features = model.extract_feat(torch.rand(1, 3, 64, 96))
    head = model.mask_head
    tower = F.interpolate(head.tower(features), scale_factor=2, mode="bilinear")
    (pixels,) = head(features)
    assert torch.equal(pixels, head.embedding_prediction(tower, 4))


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
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(model_cfg(mask_head=options))


@pytest.mark.parametrize(
    "neck, mask_head",
    [
        (dict(start_level=0, num_outs=5), dict()),
        (dict(start_level=0, num_outs=6), dict()),
        (dict(start_level=0, num_outs=6), dict(stride=4)),
        (dict(start_level=1, num_outs=6), dict(stride=4, reads_p2=True)),
        (dict(start_level=1, num_outs=5), dict(stride=4, reads_p2=True)),
        (dict(start_level=1, num_outs=4), dict()),
    ],
)
def test_a_neck_that_begins_or_ends_elsewhere_is_refused(neck, mask_head):
    cfg = model_cfg(mask_head=mask_head)
    cfg.neck.update(neck)
    model = MODELS.build(cfg).eval()
    p2 = mask_head.get("reads_p2", False)
    message = (
        f"reads_p2={p2} and 5 strides of bbox_head it must have {5 + p2}, the first of stride "
        f"{4 if p2 else 8} .*: set neck.num_outs={5 + p2}, and neck.start_level .* {0 if p2 else 1}"
    )
    with torch.no_grad(), pytest.raises(ValueError, match=message):
        model.test_step(data_batch([1]))


def test_p2_that_is_not_twice_p3_is_told():
    model = build_fine(reads_p2=True)
    model.data_preprocessor.pad_size_divisor = 1
    with (
        torch.no_grad(),
        pytest.raises(ValueError, match="not half of it: pad images to a multiple"),
    ):
        model.eval().test_step(data_batch([1], size=(100, 90)))
