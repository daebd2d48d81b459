import pytest
import torch
from mmdet.models.dense_heads import ATSSHead
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_overlaps
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from tiny import (
    ATSS_TRAIN_CFG,
    STRIDES,
    TEST_CFG,
    atss_head_cfg,
    feature_levels,
    random_instances,
)

SIZE = (128, 160)
META = dict(img_shape=SIZE, pad_shape=SIZE, batch_input_shape=SIZE, scale_factor=(1.0, 1.0))


def build(**options):
    # Untrained boxes may have no width: they are kept here.
    test_cfg = ConfigDict(TEST_CFG | dict(min_bbox_size=-1))
    head = MODELS.build(atss_head_cfg(train_cfg=ATSS_TRAIN_CFG, test_cfg=test_cfg, **options))
    head.init_weights()
    return head


def atss_with_weights_of(head):
    """MMDetection's ATSSHead with the same settings and weights."""
    cfg = atss_head_cfg(train_cfg=ATSS_TRAIN_CFG, test_cfg=head.test_cfg)
    del cfg["type"], cfg["embed_dim"], cfg["prior_margin"]
    atss = ATSSHead(**cfg)
    own = {k: v for k, v in head.state_dict().items() if not k.startswith("proposal_branch")}
    atss.load_state_dict(own, strict=True)
    return atss


def ground_truth(counts=(4, 3)):
    return [random_instances(count, SIZE, seed=count) for count in counts]


def test_with_shared_weights_outputs_and_losses_equal_atss():
    head, features, truth = build(), feature_levels(), ground_truth()
    atss = atss_with_weights_of(head)
    ours, theirs = head(features), atss(features)
    for a, b in zip(ours[:3], theirs, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    losses = head.loss_by_feat(*ours, truth, [META] * 2)
    expected = atss.loss_by_feat(*theirs, truth, [META] * 2)
    assert losses.keys() == expected.keys()
    for name, values in losses.items():
        assert all(torch.equal(a, b) for a, b in zip(values, expected[name], strict=True))


@pytest.mark.parametrize("rescale", [True, False])
def test_with_shared_weights_boxes_and_scores_equal_atss(rescale):
    head, features = build().eval(), feature_levels()
    with torch.no_grad():
        head.atss_cls.weight.mul_(20)  # spread the scores, so that NMS has an order to keep
    atss = atss_with_weights_of(head).eval()
    # ATSSHead ranks a level's candidates by class alone: the same where all of them are kept.
    head.test_cfg.nms_pre = atss.test_cfg.nms_pre = 10_000
    ours = head.predict_by_feat(*head(features), [META] * 2, rescale=rescale)
    outputs = atss(features)
    theirs = atss.predict_by_feat(*outputs, batch_img_metas=[META] * 2, rescale=rescale)
    for a, b in zip(ours, theirs, strict=True):
        assert len(a) == 10
        for field in ("bboxes", "scores", "labels"):
            torch.testing.assert_close(a[field], b[field], rtol=0, atol=1e-6)


def test_all_positives_are_the_assigners_and_their_priors_the_anchors_centres():
    head, features, truth = build(mask_proposals="all"), feature_levels(), ground_truth((4, 0))
    head.loss_by_feat(*head(features), truth, [META] * 2)
    infos = head.get_positive_infos()
    sizes = [level.shape[-2:] for level in features]
    anchors = torch.cat(head.prior_generator.grid_priors(sizes, device="cpu"))
    flags = head.prior_generator.valid_flags(sizes, SIZE, device="cpu")
    inside = [anchors[torch.cat(flags)]]
    counts = [int(flag.sum()) for flag in flags]
    assigned = head.assigner.assign(InstanceData(priors=inside[0]), counts, truth[0])
    positive = assigned.gt_inds > 0
    assert len(infos[0]) == int(positive.sum()) > 4 and len(infos[1]) == 0
    assert torch.equal(infos[0].gt_inds, assigned.gt_inds[positive] - 1)
    boxes = inside[0][positive]
    torch.testing.assert_close(infos[0].positions, (boxes[:, :2] + boxes[:, 2:]) / 2)


def test_best_gives_at_most_one_proposal_an_instance():
    head, features, truth = build(), feature_levels(), ground_truth()
    head.loss_by_feat(*head(features), truth, [META] * 2)
    for info, instances in zip(head.get_positive_infos(), truth, strict=True):
        assert 0 < len(info) == len(set(info.gt_inds.tolist())) <= len(instances)


def test_survivors_carry_what_their_anchor_predicted():
    head = build().eval()
    *_, embeddings, margins = outputs = head(feature_levels())
    results = head.predict_by_feat(*outputs, [META] * 2)[1]
    for prior, embedding, margin in zip(
        results.positions, results.proposal_embeddings, results.proposal_margins, strict=True
    ):
        found = False
        for level, stride in enumerate(STRIDES):
            x, y = (prior / stride).long().tolist()
            height, width = embeddings[level].shape[-2:]
            if y < height and x < width:
                found |= torch.equal(embeddings[level][1, :, y, x], embedding) and torch.equal(
                    margins[level][1, :, y, x], margin
                )
        assert found


def test_embedding_and_margin_come_from_the_box_tower():
    head, features = build(), feature_levels()
    *_, embeddings, margins = head(features)
    for level, feature in enumerate(features):
        for conv in head.reg_convs:
            feature = conv(feature)
        embedding, margin = head.proposal_branch(feature, level)
        assert torch.equal(embeddings[level], embedding) and torch.equal(margins[level], margin)


def test_two_anchors_a_location_are_refused():
    generator = atss_head_cfg()["anchor_generator"] | dict(ratios=[0.5, 1.0])
    with pytest.raises(ValueError, match="makes 2 anchors a location.*take one ratio"):
        build(anchor_generator=generator)


def test_a_misspelt_argument_is_refused():
    with pytest.raises(TypeError, match="mask_proposal"):
        build(mask_proposal="all")


def test_best_is_the_anchor_whose_decoded_box_fits_best():
    # Of two images the second: each has its own boxes.
    features, truth = feature_levels(2), ground_truth((2, 3))
    head, every = build(), build(mask_proposals="all")
    every.load_state_dict(head.state_dict())
    with torch.no_grad():
        head.atss_reg.weight.mul_(30)  # boxes that differ from anchor to anchor
    outputs = head(features)
    chosen, positives = {}, {}
    for name, each in (("best", head), ("all", every)):
        each.loss_by_feat(*outputs, truth, [META] * 2)
        chosen[name] = each.get_positive_infos()[1]
    sizes = [x.shape[-2:] for x in features]
    anchors = torch.cat(head.prior_generator.grid_priors(sizes, device="cpu"))
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2
    deltas = torch.cat([level[1].flatten(1).T for level in outputs[1]])
    boxes = head.bbox_coder.decode(anchors, deltas)
    ious = bbox_overlaps(boxes, truth[1].bboxes)
    for prior, gt in zip(chosen["all"].positions, chosen["all"].gt_inds.tolist(), strict=True):
        # Levels share centres at most where the finer one is assigned elsewhere.
        at_prior = (centers == prior).all(dim=1).nonzero()[:, 0]
        positives.setdefault(gt, []).append((ious[at_prior, gt].max().item(), prior.tolist()))
    expected = {gt: max(found)[1] for gt, found in positives.items()}
    best = dict(
        zip(chosen["best"].gt_inds.tolist(), chosen["best"].positions.tolist(), strict=True)
    )
    assert best == expected and all(len(found) > 1 for found in positives.values())


def test_scores_can_be_square_roots_of_the_product():
    head, features = build().eval(), feature_levels()
    with torch.no_grad():
        head.atss_cls.weight.mul_(20)
    plain = head.predict_by_feat(*head(features), [META] * 2)
    head.test_cfg.score = "sqrt"
    for a, b in zip(plain, head.predict_by_feat(*head(features), [META] * 2), strict=True):
        torch.testing.assert_close(a.scores.sqrt(), b.scores)
