import pytest
import torch
from mmdet.models.dense_heads import FCOSHead
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_overlaps
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from tiny import CHANNELS, NORM, STRIDES, TEST_CFG, bbox_head_cfg, feature_levels, random_instances

SIZE = (128, 160)


def build(**options):
    head = MODELS.build(bbox_head_cfg(test_cfg=ConfigDict(TEST_CFG), **options))
    head.init_weights()
    return head


def fcos_with_weights_of(head):
    """MMDetection's FCOSHead with the same settings and weights."""
    fcos = FCOSHead(
        num_classes=3,
        in_channels=CHANNELS,
        feat_channels=CHANNELS,
        stacked_convs=1,
        strides=STRIDES,
        norm_cfg=NORM,
        center_sampling=head.center_sampling,
        norm_on_bbox=head.norm_on_bbox,
        centerness_on_reg=head.centerness_on_reg,
        conv_bias=True,
        loss_bbox=dict(type="GIoULoss", loss_weight=1.0),
        test_cfg=ConfigDict(TEST_CFG),
    )
    own = {k: v for k, v in head.state_dict().items() if not k.startswith("proposal_branch")}
    fcos.load_state_dict(own, strict=True)
    return fcos


def ground_truth(counts=(4, 3)):
    return [random_instances(count, SIZE, seed=count) for count in counts]


def metas(count=2):
    return [dict(img_shape=SIZE, batch_input_shape=SIZE, scale_factor=(1.0, 1.0))] * count


def points_of(head):
    sizes = [level.shape[-2:] for level in feature_levels(1, SIZE)]
    return head.prior_generator.grid_priors(sizes, device="cpu")


@pytest.mark.parametrize("center_sampling", [True, False])
@pytest.mark.parametrize("norm_on_bbox", [True, False])
def test_without_mask_sampling_assignment_equals_fcos(center_sampling, norm_on_bbox):
    head = build(sample_in_mask=False, center_sampling=center_sampling, norm_on_bbox=norm_on_bbox)
    points, truth = points_of(head), ground_truth((7, 0, 3))
    labels, targets = head.get_targets(points, truth)
    expected_labels, expected_targets = fcos_with_weights_of(head).get_targets(points, truth)
    positives = 0
    for ours, theirs in zip(
        (*labels, *targets), (*expected_labels, *expected_targets), strict=True
    ):
        assert torch.equal(ours, theirs)
    for label in labels:
        positives += int((label < 3).sum())
    assert positives > 20


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm_on_bbox", [True, False])
@pytest.mark.parametrize("centerness_on_reg", [True, False])
def test_with_shared_weights_outputs_equal_fcos(training, norm_on_bbox, centerness_on_reg):
    head = build(norm_on_bbox=norm_on_bbox, centerness_on_reg=centerness_on_reg).train(training)
    fcos = fcos_with_weights_of(head).train(training)
    features = feature_levels()
    for ours, theirs in zip(head(features)[:3], fcos(features), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("rescale", [True, False])
def test_with_shared_weights_boxes_and_scores_equal_fcos(rescale):
    head = build().eval()
    with torch.no_grad():
        head.conv_cls.weight.mul_(20)  # spread the scores, so that NMS has an order to keep
    fcos, features = fcos_with_weights_of(head).eval(), feature_levels()
    # FCOSHead ranks a level's candidates by class alone: the same where all of them are kept.
    head.test_cfg.nms_pre = fcos.test_cfg.nms_pre = 10_000
    ours = head.predict_by_feat(*head(features), metas(), rescale=rescale)
    theirs = fcos.predict_by_feat(*fcos(features), batch_img_metas=metas(), rescale=rescale)
    for a, b in zip(ours, theirs, strict=True):
        assert len(a) == 10
        for field in ("bboxes", "scores", "labels"):
            assert torch.equal(a[field], b[field])


def test_losses_equal_fcos_on_the_same_targets():
    head = build(sample_in_mask=False)
    fcos, features, truth = fcos_with_weights_of(head), feature_levels(), ground_truth()
    ours = head.loss_by_feat(*head(features), truth, metas())
    theirs = fcos.loss_by_feat(*fcos(features), truth, metas())
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name])


def test_survivors_carry_the_embedding_and_margin_of_their_prior():
    head = build().eval()
    outputs = head(feature_levels())
    results = head.predict_by_feat(*outputs, metas())[1]
    embeddings, margins = outputs[3:]
    points = points_of(head)
    for i in range(len(results)):
        matches = [
            (level, int(index))
            for level, mlvl in enumerate(points)
            for index in (mlvl == results.positions[i]).all(dim=1).nonzero()
        ]
        found = [
            torch.equal(embeddings[level][1].flatten(1)[:, index], results.proposal_embeddings[i])
            and torch.equal(margins[level][1].flatten(1)[:, index], results.proposal_margins[i])
            for level, index in matches
        ]
        assert any(found)


def test_sampling_in_masks_leaves_out_points_off_the_mask():
    size = (64, 64)
    masks = torch.zeros(1, *size, dtype=torch.uint8)
    masks[0, 20:44, 8:30] = 1  # the left half of the box
    truth = InstanceData(
        bboxes=torch.tensor([[8.0, 20.0, 52.0, 44.0]]),
        labels=torch.tensor([2]),
        masks=BitmapMasks(masks.numpy(), *size),
    )
    points = [torch.tensor([[20.0, 28.0], [28.0, 28.0], [36.0, 28.0]])] + [torch.zeros(0, 2)] * 4
    assert build().get_targets(points, [truth])[0][0].tolist() == [2, 2, 3]
    assert build(sample_in_mask=False).get_targets(points, [truth])[0][0].tolist() == [2, 2, 2]


def chosen(head, truth):
    features = feature_levels(len(truth), SIZE)
    head.loss_by_feat(*head(features), truth, metas(len(truth)))
    return head.get_positive_infos()


@pytest.mark.parametrize("mask_proposals", ["best", "all"])
def test_a_head_that_does_not_remember_its_assignments_is_told(monkeypatch, mask_proposals):
    head = build(mask_proposals=mask_proposals)
    remember = head._remember_assignment
    forgotten = iter([False, True])
    monkeypatch.setattr(
        head, "_remember_assignment", lambda inds: None if next(forgotten) else remember(inds)
    )
    with pytest.raises(RuntimeError, match="remembered 1 assignments of 2 images"):
        chosen(head, ground_truth((4, 3)))


def test_best_gives_one_proposal_an_instance_with_a_point():
    truth = ground_truth((4, 0, 3))
    infos = chosen(build(), truth)
    for info, instances in zip(infos, truth, strict=True):
        assert len(set(info.gt_inds.tolist())) == len(info) <= len(instances)
        assert info.proposal_embeddings.shape == info.proposal_margins.shape == (len(info), 5)
        for gt, (x, y) in zip(info.gt_inds, info.positions.long(), strict=True):
            if 0 <= y < SIZE[0] and 0 <= x < SIZE[1]:
                assert instances.masks.masks[gt, y, x] == 1
    assert [len(info) for info in infos][1] == 0 and sum(len(info) for info in infos) >= 5


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm_on_bbox", [True, False])
def test_best_is_the_point_whose_decoded_box_fits_best(norm_on_bbox, training):
    head = build(norm_on_bbox=norm_on_bbox).train(training)
    every = build(norm_on_bbox=norm_on_bbox, mask_proposals="all").train(training)
    truth = ground_truth()
    with torch.no_grad():
        head.conv_reg.weight.mul_(30)  # boxes that differ from point to point
        head.conv_reg.bias.fill_(3.0)
    outputs = head(feature_levels())
    chosen, positives = [], []
    for each, infos in ((head, chosen), (every, positives)):
        each.loss_by_feat(*outputs, truth, metas())
        infos += each.get_positive_infos()
    # In strides only where both: boxes are normalised, and the head is training.
    units = STRIDES if norm_on_bbox and training else (1,) * len(STRIDES)
    for image, instances in enumerate(truth):
        sides = [x[image].flatten(1).T * unit for x, unit in zip(outputs[1], units, strict=True)]
        points, sides = torch.cat(points_of(head)), torch.cat(sides)
        boxes = torch.cat([points - sides[:, :2], points + sides[:, 2:]], dim=1)
        ious = bbox_overlaps(boxes, instances.bboxes)
        best: dict[int, tuple[float, list]] = {}
        info = positives[image]
        for gt, prior in zip(info.gt_inds.tolist(), info.positions, strict=True):
            iou = ious[(points == prior).all(dim=1), gt].item()  # no two points are equal
            if gt not in best or iou > best[gt][0]:
                best[gt] = iou, prior.tolist()
        found = zip(chosen[image].gt_inds.tolist(), chosen[image].positions.tolist(), strict=True)
        assert dict(found) == {gt: point for gt, (_, point) in best.items()}
        assert len(best) > 1 and len(info) > 2 * len(best)


def test_chosen_proposals_are_those_of_their_own_image_and_served_instances_alone():
    head = build()
    *_, embeddings, margins = outputs = head(feature_levels())
    truth = ground_truth()
    truth[0].bboxes[1] = torch.tensor([1.0, 1.0, 2.0, 2.0])  # too small for any point
    head.loss_by_feat(*outputs, truth, metas())
    points = torch.cat(points_of(head))
    for image, info in enumerate(head.get_positive_infos()):
        assert len(info) > 1 and (image == 1 or 1 not in info.gt_inds)
        for name, maps in (("proposal_embeddings", embeddings), ("proposal_margins", margins)):
            own = torch.cat([level[image].flatten(1).T for level in maps])
            for prior, value in zip(info.positions, info[name], strict=True):
                assert torch.equal(own[(points == prior).all(dim=1)][0], value)


def test_a_loss_that_raised_half_way_leaves_nothing_behind():
    head, truth = build(), ground_truth()
    outputs = head(feature_levels())
    head.loss_by_feat(*outputs, truth, metas())
    expected = head.get_positive_infos()
    loss_bbox, head.loss_bbox = head.loss_bbox, None
    with pytest.raises(TypeError):
        head.loss_by_feat(*outputs, truth[::-1], metas())
    head.loss_bbox = loss_bbox
    head.loss_by_feat(*outputs, truth, metas())
    for info, before in zip(head.get_positive_infos(), expected, strict=True):
        assert torch.equal(info.positions, before.positions)
        assert torch.equal(info.gt_inds, before.gt_inds)


def test_all_gives_every_positive_point_up_to_the_limit():
    truth = ground_truth()
    everything = chosen(build(mask_proposals="all"), truth)
    labels = build().get_targets(points_of(build()), truth)[0]
    assert sum(len(info) for info in everything) == sum(int((x < 3).sum()) for x in labels)
    limited = chosen(build(mask_proposals="all", max_mask_proposals=7), truth)
    assert sum(len(info) for info in limited) == 7


def test_positive_infos_are_handed_over_once():
    head = build()
    with pytest.raises(RuntimeError, match="call loss.. first"):
        head.get_positive_infos()
    chosen(head, ground_truth())
    with pytest.raises(RuntimeError, match="call loss.. first"):
        head.get_positive_infos()


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(embed_dim=2), "embed_dim=2 is too small"),
        (dict(mask_proposals="first"), "mask_proposals='first' is unknown"),
        (dict(sample_in_mask="yes"), "sample_in_mask='yes' is unknown"),
        (dict(learnable_margin=2), "learnable_margin=2 is unknown"),
        (dict(prior_margin=0), "prior_margin=0 must be"),
        (dict(margin_reduce_factor=-1), "margin_reduce_factor=-1 must be"),
        (dict(max_mask_proposals=0), "max_mask_proposals=0 must be"),
        (dict(sampling_center="centroid"), "sampling_center='centroid' is unknown"),
        (dict(embedding="aware"), "embedding='aware' is unknown"),
        (dict(reduce_channels=0), "reduce_channels=0 must be"),
        (dict(max_mask_proposals=500.0), "max_mask_proposals=500.0 must be a whole number"),
        (
            dict(sampling_center="mask", center_sampling=False),
            "sampling_center='mask' needs center_sampling=True",
        ),
    ],
)
def test_wrong_values_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_a_misspelt_argument_is_refused():
    with pytest.raises(TypeError, match="sample_in_masks"):
        build(sample_in_masks=True)


def test_weights_start_as_the_papers():
    head = build(prior_margin=2.0)
    assert head.conv_cls.bias.tolist() == pytest.approx([-4.59512] * 3, abs=1e-4)
    assert head.conv_reg.bias.abs().max() == 0
    assert head.reg_convs[0].conv.bias.abs().max() == 0
    assert head.reg_convs[0].conv.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert head.proposal_branch.conv_margin.bias.tolist() == pytest.approx([-1.75277] * 5, abs=1e-4)


def test_square_root_scores_rank_and_drop_by_the_product():
    features = feature_levels()
    head = build().eval()
    with torch.no_grad():
        head.conv_cls.weight.mul_(20)
    plain = head.predict_by_feat(*head(features), metas())
    head.test_cfg.score = "sqrt"
    rooted = head.predict_by_feat(*head(features), metas())
    for a, b in zip(plain, rooted, strict=True):
        torch.testing.assert_close(a.scores.sqrt(), b.scores)
        assert torch.equal(a.bboxes, b.bboxes) and torch.equal(a.labels, b.labels)
    # The threshold is on the product (Table 2), not on the class probability (Table 1).
    threshold = float(plain[0].scores[4])
    head.test_cfg.score_thr = threshold
    kept = head.predict_by_feat(*head(features), metas())[0].scores
    assert len(kept) == 4 and (kept.square() > threshold).all()


def outputs_of(head, class_probability, centerness, sides):
    """Outputs whose finest level starts with these points; no other has a candidate.

    Args:
        head: gives the number of classes.
        class_probability: of class 0 at each point.
        centerness: probability at each point.
        sides: four distances of each point in pixels.
    """
    outputs = [[torch.full_like(x, -20.0) for x in level] for level in head(feature_levels(1))]
    cls, bbox, center, embeddings, margins = (levels[0] for levels in outputs)
    for i, point in enumerate(zip(class_probability, centerness, sides, strict=True)):
        cls[0, 0, 0, i], center[0, 0, 0, i] = (torch.tensor(p).logit() for p in point[:2])
        bbox[0, :, 0, i] = torch.tensor(point[2])
    return outputs


SIDES = [[2.0, 2.0, 2.0, 2.0]] * 3


@pytest.mark.parametrize("score", ["product", "sqrt"])
def test_the_best_of_a_level_are_those_of_the_highest_product(score):
    head = build().eval()
    head.test_cfg.update(score=score, nms_pre=2, score_thr=0.05)
    # Products 0.09, 0.45 and 0.30: by class alone the first two would be kept.
    outputs = outputs_of(head, [0.9, 0.5, 0.4], [0.1, 0.9, 0.75], SIDES)
    (found,) = head.predict_by_feat(*outputs, metas(1), with_nms=False)
    assert found.positions.tolist() == [[12.0, 4.0], [20.0, 4.0]]
    expected = [0.45, 0.3] if score == "product" else [0.45**0.5, 0.3**0.5]
    assert found.scores.tolist() == pytest.approx(expected)


def test_candidates_pass_by_class_in_table_1_and_by_the_product_in_table_2():
    head = build().eval()
    outputs = outputs_of(head, [0.2, 0.04, 0.6], [0.2, 0.99, 0.5], SIDES)
    for score, expected in (("product", [20.0, 4.0]), ("sqrt", [20.0])):
        head.test_cfg.update(score=score, score_thr=0.05)
        (found,) = head.predict_by_feat(*outputs, metas(1), with_nms=False)
        assert found.positions[:, 0].tolist() == expected


def test_boxes_are_clipped_before_or_after_overlaps_are_suppressed():
    head = build().eval()
    # At (4, 4) and (12, 4), both reaching x1 = -16: unclipped their IoU is 28 / 40 = 0.7, clipped
    # (0 to 12 and 0 to 24) it is 0.5. The third lies above the image.
    sides = [[20.0, 4.0, 8.0, 4.0], [28.0, 4.0, 12.0, 4.0], [2.0, 12.0, 2.0, -4.0]]
    outputs = outputs_of(head, [0.9, 0.8, 0.7], [0.9, 0.9, 0.9], sides)
    head.test_cfg.update(score_thr=0.3, min_bbox_size=-1)
    (before,) = head.predict_by_feat(*outputs, metas(1))
    head.test_cfg.clip_boxes = "after_nms"
    (after,) = head.predict_by_feat(*outputs, metas(1))
    assert before.bboxes[:2].tolist() == [[0.0, 0.0, 12.0, 8.0], [0.0, 0.0, 24.0, 8.0]]
    assert after.bboxes.tolist() == [[0.0, 0.0, 12.0, 8.0]] and after.positions.tolist() == [
        [4.0, 4.0]
    ]
    original = dict(img_shape=SIZE, ori_shape=(64, 5), scale_factor=(2.0, 2.0))
    (after,) = head.predict_by_feat(*outputs, [original], rescale=True)
    assert after.bboxes.tolist() == [[0.0, 0.0, 5.0, 4.0]]


def test_inclusive_boxes_are_clipped_to_the_last_pixel():
    head = build().eval()
    head.test_cfg.update(score_thr=0.3, inclusive_boxes=True)
    outputs = outputs_of(head, [0.9], [0.9], [[20.0, 20.0, 500.0, 500.0]])
    for clip in ("before_nms", "after_nms"):
        head.test_cfg.clip_boxes = clip
        (found,) = head.predict_by_feat(*outputs, metas(1))
        assert found.bboxes.tolist() == [[0.0, 0.0, 159.0, 127.0]]


def test_square_root_score_by_hand():
    head, features = build().eval(), feature_levels(1)
    head.test_cfg.score = "sqrt"
    outputs = [[torch.zeros_like(level) for level in levels] for levels in head(features)]
    outputs[1] = [torch.ones_like(level) for level in outputs[1]]  # boxes of two pixels
    # Class probability 0.5, center-ness probability 0.5: a product of 0.25.
    (results,) = head.predict_by_feat(*outputs, metas(1), with_nms=False)
    assert results.scores.unique().tolist() == [0.5]


def test_positives_lie_around_the_centroid_of_the_mask_where_asked_for():
    size = (64, 64)
    masks = torch.zeros(1, *size, dtype=torch.uint8)
    masks[0, 4:60, 4:12] = 1  # a tall bar at the left
    masks[0, 52:60, 4:60] = 1  # and a foot that makes the box square: an L
    truth = InstanceData(
        bboxes=torch.tensor([[4.0, 4.0, 60.0, 60.0]]),
        labels=torch.tensor([1]),
        masks=BitmapMasks(masks.numpy(), *size),
    )
    # Box centre (32, 32); the centroid of the L is at (19.1, 44.9): squares reach 12 pixels.
    points = [torch.tensor([[36.0, 28.0], [12.0, 52.0], [28.0, 36.0]])] + [torch.zeros(0, 2)] * 4
    around_box = build(sample_in_mask=False).get_targets(points, [truth])[0][0]
    assert around_box.tolist() == [1, 3, 1]
    around_mask = build(sample_in_mask=False, sampling_center="mask")
    assert around_mask.get_targets(points, [truth])[0][0].tolist() == [3, 1, 1]


@pytest.mark.parametrize("embedding, dims", [("spatial_aware", 2), ("spatial_free", 3)])
def test_one_part_of_the_embedding_rides_along(embedding, dims):
    head = build(embedding=embedding).eval()
    (results, _) = head.predict_by_feat(*head(feature_levels()), metas())
    assert results.proposal_embeddings.shape == (10, dims)
    assert results.proposal_margins.shape == (10, dims)
