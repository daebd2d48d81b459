import math

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures.mask import encode_mask_results
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from tiny import TEST_CFG, data_batch, feature_levels, mask_head_cfg, random_instances

from mmdet_embedmask.functional.coupling import coupled_logits
from mmdet_embedmask.functional.dense_masks import MaskRecipe, dense_masks
from mmdet_embedmask.functional.mask_loss import lovasz_hinge
from mmdet_embedmask.functional.mask_targets import mask_stride_targets

SIZE = (128, 160)


# Only a semantic branch reads it.
P3 = torch.zeros(3, 4, 16, 20)


def build(test_cfg=None, **options):
    head = MODELS.build(mask_head_cfg(test_cfg=ConfigDict(TEST_CFG | (test_cfg or {})), **options))
    head.init_weights()
    return head


def proposals(gt_inds):
    k = len(gt_inds)
    return InstanceData(
        gt_inds=torch.tensor(gt_inds, dtype=torch.long),
        positions=torch.rand(k, 2) * 128,
        units=torch.full((k, 2), 100.0),
        proposal_embeddings=torch.randn(k, 5) * 0.1,
        proposal_margins=torch.rand(k, 5) + 0.5,
    )


def test_a_pixel_embedding_is_tower_plus_position():
    head, features = build(), feature_levels()
    (embedding,) = head(features)
    tower = head.tower(features)
    assert embedding.shape == (2, 5, 16, 20)
    torch.testing.assert_close(embedding[:, 2:], head.embedding_prediction.conv_spatial_free(tower))
    expected = head.embedding_prediction.conv_spatial_aware(tower)
    expected[:, 0] += (torch.arange(20) * 8 + 4) / 100
    expected[:, 1] += ((torch.arange(16) * 8 + 4) / 100)[:, None]
    torch.testing.assert_close(embedding[:, :2], expected)


def test_coordinates_of_coord_conv_have_the_stride_of_p3():
    head, features = build(embedding="coord_conv"), feature_levels()
    (embedding,) = head(features)
    assert torch.equal(embedding, head.embedding_prediction(head.tower(features), 8))


def test_probabilities_at_the_mask_stride_are_cropped_where_masks_are():
    pixels, found = torch.rand(5, 16, 20), detections()
    found.bboxes[1] = torch.tensor([40.0, 32.0, 80.0, 48.0])
    whole = build().mask_probabilities(pixels, found)
    cropped = build(test_cfg=dict(crop_to_box=True)).mask_probabilities(pixels, found)
    assert whole.min() > 0
    expected = torch.zeros_like(whole)
    # Two cells around rows 5 to 22 and columns 2 to 15, and rows 8 to 12 and columns 10 to 20.
    expected[0, 3:24, 0:17] = whole[0, 3:24, 0:17]
    expected[1, 6:14, 8:22] = whole[1, 6:14, 8:22]
    assert torch.equal(cropped, expected)


def test_loss_is_the_mean_over_instances_then_images():
    head = build()
    pixels = torch.randn(3, 5, 16, 20)
    truth = [random_instances(count, SIZE, seed=count) for count in (4, 0, 2)]
    infos = [proposals([2, 0, 3]), proposals([]), proposals([1])]
    loss = head.loss_by_feat(pixels, truth, [], infos, p3=P3)["loss_mask"]
    expected = 0.0
    for image, (instances, info) in enumerate(zip(truth, infos, strict=True)):
        if len(info) == 0:
            continue
        embedding = info.proposal_embeddings.clone()
        embedding[:, :2] += info.positions / 100
        logits = coupled_logits(pixels[image], embedding, info.proposal_margins)
        targets = mask_stride_targets(torch.from_numpy(instances.masks.masks))[info.gt_inds]
        expected += 0.5 * lovasz_hinge(logits, targets).mean() / 3
    torch.testing.assert_close(loss, expected)


def test_any_loss_on_logits_can_be_configured():
    head = build(loss_mask=dict(type="DiceLoss", use_sigmoid=True, loss_weight=1.0))
    truth = [random_instances(2, SIZE)]
    loss = head.loss_by_feat(torch.randn(1, 5, 16, 20), truth, [], [proposals([0, 1])], p3=P3)
    assert 0 < float(loss["loss_mask"]) < 1


META = dict(
    img_shape=(120, 150),
    batch_input_shape=SIZE,
    ori_shape=(61, 77),
    scale_factor=(150 / 77, 120 / 61),
)


def detections():
    found = proposals([0, 0])
    del found.gt_inds
    found.bboxes = torch.tensor([[10.0, 20.0, 60.0, 90.0], [0.0, 0.0, 150.0, 120.0]])
    found.scores, found.labels = torch.tensor([0.9, 0.4]), torch.tensor([1, 2])
    return found


@pytest.mark.parametrize("crop_to_box", [True, False])
@pytest.mark.parametrize("upsample", ["probability", "embedding"])
def test_masks_are_the_thresholded_probabilities(upsample, crop_to_box):
    head = build(test_cfg=dict(crop_to_box=crop_to_box, mask_thr=0.3), upsample=upsample)
    pixels, found = torch.rand(1, 5, 16, 20), detections()
    (results,) = head.predict_by_feat(pixels, [META], rescale=True, results_list=[found])
    embedding = found.proposal_embeddings.clone()
    embedding[:, :2] += found.positions / 100
    recipe = MaskRecipe(0.3, upsample, crop_to_box=crop_to_box)
    assert head.mask_recipe == recipe
    expected = dense_masks(
        pixels[0],
        embedding,
        found.proposal_margins,
        found.bboxes,
        img_shape=META["img_shape"],
        size=META["ori_shape"],
        recipe=recipe,
    )
    assert torch.equal(results.masks, expected)
    assert 0 < expected.sum() < expected.numel()


def test_run_lengths_are_those_of_the_bitmaps():
    pixels = torch.rand(1, 5, 16, 20)
    found = detections()
    masks = {}
    for mask_format in ("bitmap", "rle"):
        head = build(test_cfg=dict(mask_format=mask_format, mask_thr=0.3))
        (results,) = head.predict_by_feat(pixels, [META], True, [detections_like(found)])
        masks[mask_format] = results.masks
    assert masks["rle"] == encode_mask_results(masks["bitmap"].numpy())


def test_results_hold_four_fields_and_boxes_in_original_pixels():
    found = detections()
    (results,) = build().predict_by_feat(torch.rand(1, 5, 16, 20), [META], True, [found])
    assert sorted(results.keys()) == ["bboxes", "labels", "masks", "scores"]
    torch.testing.assert_close(results.bboxes[1], torch.tensor([0.0, 0.0, 77.0, 61.0]))
    assert results.masks.shape == (2, 61, 77)
    (unscaled,) = build().predict_by_feat(torch.rand(1, 5, 16, 20), [META], False, [found])
    assert torch.equal(unscaled.bboxes, found.bboxes) and unscaled.masks.shape == (2, 120, 150)


def test_inclusive_boxes_end_behind_their_last_pixel_and_masks_are_the_same():
    pixels, found = torch.rand(1, 5, 16, 20), detections()
    plain, inclusive = (
        build(test_cfg=dict(inclusive_boxes=value, crop_to_box=True, mask_thr=0.3))
        for value in (False, True)
    )
    for rescale in (True, False):
        (a,) = plain.predict_by_feat(pixels, [META], rescale, [detections_like(found)])
        (b,) = inclusive.predict_by_feat(pixels, [META], rescale, [detections_like(found)])
        assert torch.equal(b.bboxes, a.bboxes + torch.tensor([0.0, 0.0, 1.0, 1.0]))
        assert torch.equal(a.masks, b.masks)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(embed_dim=1), "embed_dim=1 is too small"),
        (dict(upsample="both"), "upsample='both' is unknown"),
        (dict(upsample="aligned"), "upsample='aligned' is unknown"),
        (dict(upsample_mode="nearest"), "upsample_mode='nearest' is unknown"),
        (dict(mask_target="nearest"), "mask_target='nearest' is unknown"),
        (dict(mask_loss_mean="batch"), "mask_loss_mean='batch' is unknown"),
        (dict(tower="fpn"), "tower='fpn' is unknown"),
        (dict(embedding="aware"), "embedding='aware' is unknown"),
        (dict(learnable_position_scale=3), "learnable_position_scale=3 is unknown"),
    ],
)
def test_wrong_values_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_weights_start_as_the_papers():
    head = build()
    assert head.tower.convs[0].conv.bias.abs().max() == 0
    assert head.tower.convs[0].conv.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert head.embedding_prediction.conv_spatial_free.weight.std().item() == pytest.approx(
        0.01, rel=0.1
    )
    assert head.spatial_embedding.position_scale.scale.item() == 1.0


def single_loss(head, pixels, instances, info):
    """Loss of one proposal, by the formula."""
    embedding = info.proposal_embeddings.clone()
    embedding[:, :2] += info.positions / 100
    logits = coupled_logits(pixels, embedding, info.proposal_margins)
    masks = torch.from_numpy(instances.masks.masks)
    return lovasz_hinge(logits, mask_stride_targets(masks, head.mask_target)[info.gt_inds])


def test_loss_as_the_mean_over_all_proposals():
    head = build(
        mask_loss_mean="proposals", loss_mask=dict(type="LovaszHingeLoss", loss_weight=1.0)
    )
    pixels = torch.randn(3, 5, 16, 20)
    truth = [random_instances(count, SIZE, seed=count) for count in (4, 0, 2)]
    infos = [proposals([2, 0, 3]), proposals([]), proposals([1])]
    loss = head.loss_by_feat(pixels, truth, [], infos, p3=P3)["loss_mask"]
    parts = [single_loss(head, *image) for image in zip(pixels, truth, infos, strict=True)]
    torch.testing.assert_close(loss, torch.cat(parts).mean())


def test_the_target_option_reaches_the_loss():
    truth, infos = [random_instances(2, SIZE)], [proposals([0, 1])]
    pixels = torch.randn(1, 5, 16, 20)
    losses = {}
    for mask_target in ("bilinear", "point"):
        head = build(mask_target=mask_target)
        losses[mask_target] = head.loss_by_feat(pixels, truth, [], infos, p3=P3)["loss_mask"]
        expected = 0.5 * single_loss(head, pixels[0], truth[0], infos[0]).mean()
        torch.testing.assert_close(losses[mask_target], expected)
    assert losses["bilinear"] != losses["point"]


def test_dice_of_the_paper_by_hand():
    """P = 0.5 everywhere: 1 - t / (0.25 * n + t + 1e-5), with t of n cells in the target."""
    head = build(loss_mask=dict(type="DiceLoss", use_sigmoid=True, eps=5e-6))
    truth, info = [random_instances(1, SIZE)], proposals([0])
    # Distance ln 2 in one spatial-free channel, nothing else: P = 0.5 at every pixel.
    pixels = torch.zeros(1, 5, 16, 20)
    pixels[0, 2] = 1.0
    info.proposal_embeddings = torch.zeros(1, 5)
    info.proposal_margins = torch.tensor([[1e-12, 1e-12, math.log(2), 1.0, 1.0]])
    loss = head.loss_by_feat(pixels, truth, [], [info], p3=P3)["loss_mask"]
    targets = mask_stride_targets(torch.from_numpy(truth[0].masks.masks))
    t, n = int(targets.sum()), targets.numel()
    assert float(loss) == pytest.approx(1 - t / (0.25 * n + t + 1e-5), abs=1e-6)


def test_dice_has_the_constant_of_table_2():
    """P = 0.002 in the one cell of the target, and 0 elsewhere: the sums are 4e-6 and 1."""
    head = build(loss_mask=dict(type="DiceLoss", use_sigmoid=True, eps=5e-6))
    logits = torch.full((1, 4, 4), -20.0, dtype=torch.float64)
    logits[0, 0, 0] = math.log(0.002 / 0.998)
    target = torch.zeros(1, 4, 4, dtype=torch.bool)
    target[0, 0, 0] = True
    loss = head.loss_mask(logits, target, reduction_override="none")
    # 2 * 0.002 / (0.002^2 + 1 + 1e-5)
    assert float(loss) == pytest.approx(1 - 0.004 / (4e-6 + 1 + 1e-5), abs=1e-9)


def test_the_semantic_loss_is_added_and_takes_no_part_in_inference():
    branch = dict(type="SemanticBranch", num_classes=3, feat_channels=8, norm_cfg=dict(type="BN"))
    head, x = build(semantic_branch=branch), feature_levels()
    samples = data_batch([3, 2])["data_samples"]
    for sample in samples:
        sample.set_metainfo(dict(batch_input_shape=SIZE))
    infos = [proposals([0]), proposals([1])]
    losses = head.loss(x, samples, infos)
    masks = [torch.from_numpy(sample.gt_instances.masks.masks) for sample in samples]
    labels = [sample.gt_instances.labels for sample in samples]
    torch.testing.assert_close(
        losses["loss_semantic"], head.semantic_branch.loss(x[0], masks, labels)
    )
    assert sorted(losses) == ["loss_mask", "loss_semantic"]
    called = []
    head.semantic_branch.register_forward_hook(lambda *_: called.append(1))
    head.eval()(x)
    assert not called


def test_without_a_semantic_branch_there_is_no_semantic_loss():
    samples = data_batch([1])["data_samples"]
    samples[0].set_metainfo(dict(batch_input_shape=SIZE))
    assert sorted(build().loss(feature_levels(1), samples, [proposals([0])])) == ["loss_mask"]


def test_a_fused_tower_makes_embeddings_of_the_same_shape():
    head = build(tower="fused", feat_channels=8, learnable_position_scale=False)
    (embedding,) = head.eval()(feature_levels())
    assert embedding.shape == (2, 5, 16, 20)
    assert not any("position_scale" in name for name in head.state_dict())


def test_the_resize_option_reaches_the_masks():
    pixels, found = torch.rand(1, 5, 16, 20), detections()
    masks = {}
    for resize in ("bilinear", "aligned"):
        head = build(test_cfg=dict(mask_resize=resize, mask_thr=0.3))
        (results,) = head.predict_by_feat(pixels, [META], True, [detections_like(found)])
        assert head.mask_recipe.resize == resize
        masks[resize] = results.masks
    assert not torch.equal(masks["bilinear"], masks["aligned"])


def detections_like(found):
    return found[torch.arange(len(found))]
