import math

import pytest
import torch
from mmdet.models.dense_heads.rtmdet_head import RTMDetSepBNHead
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from tiny import (
    PRIOR_MARGIN,
    RTMDET_TRAIN_CFG,
    STRIDES,
    TEST_CFG,
    feature_levels,
    random_instances,
    rtmdet_head_cfg,
)

SIZE = (128, 160)
META = dict(img_shape=SIZE, pad_shape=SIZE, batch_input_shape=SIZE, scale_factor=(1.0, 1.0))


def build(**options):
    test_cfg = ConfigDict(TEST_CFG | dict(min_bbox_size=-1))
    cfg = rtmdet_head_cfg(train_cfg=RTMDET_TRAIN_CFG, test_cfg=test_cfg, mask_proposals="all")
    head = MODELS.build(cfg | options)
    head.init_weights()
    with torch.no_grad():
        for layer in head.rtm_cls:
            layer.weight.mul_(20)  # spread the scores, so that points differ
    return head


def rtmdet_with_weights_of(head):
    """MMDetection's head with the same settings and weights."""
    cfg = rtmdet_head_cfg(train_cfg=RTMDET_TRAIN_CFG, test_cfg=head.test_cfg)
    del cfg["type"], cfg["embed_dim"], cfg["prior_margin"]
    rtmdet = RTMDetSepBNHead(**cfg, share_conv=False)
    rtmdet.exp_on_reg = head.exp_on_reg
    own = {k: v for k, v in head.state_dict().items() if not k.startswith("proposal_branch")}
    rtmdet.load_state_dict(own, strict=True)
    return rtmdet


def ground_truth(counts=(4, 3)):
    return [random_instances(count, SIZE, seed=count) for count in counts]


def with_tensor_masks(truth):
    """As RTMDet-Ins hands them to its assigner."""
    return [
        InstanceData(
            bboxes=t.bboxes,
            labels=t.labels,
            masks=t.masks.to_tensor(torch.bool, torch.device("cpu")),
        )
        for t in truth
    ]


def assigned(head, features, truth):
    """Which instance each point of each image is assigned to, as `_choose_proposals` sees it."""
    seen = []
    head._choose_proposals = lambda *args: seen.append([g.clone() for g in head._gt_inds])
    head.loss_by_feat(*head(features), truth, [META] * 2)
    del head._choose_proposals
    return seen[0]


@pytest.mark.parametrize("exp_on_reg", [True, False])
def test_with_shared_weights_outputs_and_losses_equal_rtmdet(exp_on_reg):
    head, features, truth = build(exp_on_reg=exp_on_reg), feature_levels(), ground_truth()
    rtmdet = rtmdet_with_weights_of(head)
    ours, theirs = head(features), rtmdet(features)
    assert ours[2] is None
    for a, b in zip(ours[:2], theirs, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    losses = head.loss_by_feat(*ours, truth, [META] * 2)
    expected = rtmdet.loss_by_feat(*theirs, with_tensor_masks(truth), [META] * 2)
    assert losses.keys() == expected.keys() == {"loss_cls", "loss_bbox"}
    for name, values in losses.items():
        assert all(torch.equal(a, b) for a, b in zip(values, expected[name], strict=True))


@pytest.mark.parametrize("rescale", [True, False])
def test_with_shared_weights_boxes_and_scores_equal_rtmdet(rescale):
    head, features = build().eval(), feature_levels()
    rtmdet = rtmdet_with_weights_of(head).eval()
    head.test_cfg.nms_pre = rtmdet.test_cfg.nms_pre = 10_000
    ours = head.predict_by_feat(*head(features), [META] * 2, rescale=rescale)
    outputs = rtmdet(features)
    theirs = rtmdet.predict_by_feat(*outputs, batch_img_metas=[META] * 2, rescale=rescale)
    for a, b in zip(ours, theirs, strict=True):
        assert len(a) == 10
        for field in ("bboxes", "scores", "labels"):
            torch.testing.assert_close(a[field], b[field], rtol=0, atol=1e-6)


def test_a_score_can_be_the_root_of_the_class_probability():
    head, features = build().eval(), feature_levels()
    plain = head.predict_by_feat(*head(features), [META] * 2)
    head.test_cfg.score = "sqrt"
    for a, b in zip(plain, head.predict_by_feat(*head(features), [META] * 2), strict=True):
        torch.testing.assert_close(a.scores.sqrt(), b.scores)


@pytest.mark.parametrize("sampling_center", ["mask", "box"])
def test_all_positives_are_the_assigners(sampling_center):
    head, features = build(sampling_center=sampling_center), feature_levels()
    truth = ground_truth((4, 0))
    cls_scores, bbox_preds, *_ = outputs = head(features)
    head.loss_by_feat(*outputs, truth, [META] * 2)
    infos = head.get_positive_infos()
    sizes = [level.shape[-2:] for level in features]
    priors = head.prior_generator.grid_priors(sizes, device="cpu", with_stride=True)
    points = torch.cat(priors)
    sides = torch.cat([level[0].flatten(1).T for level in bbox_preds])
    predicted = InstanceData(
        priors=points,
        scores=torch.cat([level[0].flatten(1).T for level in cls_scores]).detach(),
        bboxes=head.bbox_coder.decode(points[:, :2], sides).detach(),
    )
    (seen, _) = with_tensor_masks(truth)
    if sampling_center == "box":
        del seen.masks
    assigned = head.assigner.assign(predicted, seen)
    positive = assigned.gt_inds > 0
    assert len(infos[0]) == int(positive.sum()) >= 4 and len(infos[1]) == 0
    assert torch.equal(infos[0].gt_inds, assigned.gt_inds[positive] - 1)
    assert torch.equal(infos[0].positions, points[positive, :2])


def test_positives_lie_around_the_centroid_of_the_mask_or_the_middle_of_the_box():
    head, features = build(), feature_levels()
    truth = [random_instances(1, SIZE, seed=1) for _ in range(2)]
    for t in truth:
        t.bboxes = torch.tensor([[16.0, 16.0, 144.0, 112.0]])
        t.masks.masks[:] = 0
        t.masks.masks[:, 80:112, 112:144] = 1  # in the lower right corner of the box
    points = torch.cat(
        head.prior_generator.grid_priors([f.shape[-2:] for f in features], device="cpu")
    )
    means = {}
    for center in ("mask", "box"):
        head.sampling_center = center
        (first, _) = assigned(head, features, truth)
        means[center] = points[first == 0].mean(dim=0)
    away = {name: (mean - torch.tensor([128.0, 96.0])).norm() for name, mean in means.items()}
    assert away["mask"] < away["box"]


def test_survivors_carry_what_their_point_predicted():
    head = build().eval()
    *_, embeddings, margins = outputs = head(feature_levels())
    results = head.predict_by_feat(*outputs, [META] * 2)[1]
    assert len(results) == 10
    for position, embedding, margin in zip(
        results.positions, results.proposal_embeddings, results.proposal_margins, strict=True
    ):
        found = False
        for level, stride in enumerate(STRIDES):
            # RTMDet's points are the corners of the cells: of several levels at once.
            if (position % stride).any():
                continue
            x, y = (position / stride).long().tolist()
            found |= torch.equal(embeddings[level][1, :, y, x], embedding) and torch.equal(
                margins[level][1, :, y, x], margin
            )
        assert found


def test_embedding_and_margin_come_from_the_box_tower_of_their_level():
    head, features = build(), feature_levels()
    *_, embeddings, margins = head(features)
    for level, feature in enumerate(features):
        for conv in head.reg_convs[level]:
            feature = conv(feature)
        embedding, margin = head.proposal_branch(feature, level)
        assert torch.equal(embeddings[level], embedding) and torch.equal(margins[level], margin)


def test_a_finer_level_is_the_pixel_heads_alone():
    head, features = build(), feature_levels()
    p2 = torch.randn(2, features[0].shape[1], 32, 40)
    for ours, expected in zip(head((p2, *features)), head(features), strict=True):
        assert (ours is None) == (expected is None)
        for a, b in zip(ours or (), expected or (), strict=True):
            assert torch.equal(a, b)


def test_what_couples_teaches_the_box_tower():
    head = build()
    *_, embeddings, margins = head(feature_levels())
    sum(level.sum() for level in (*embeddings, *margins)).backward()
    for convs in head.reg_convs:
        assert all(conv.conv.weight.grad.abs().sum() > 0 for conv in convs)
    assert all(conv.conv.weight.grad is None for convs in head.cls_convs for conv in convs)


def test_the_proposal_branch_begins_at_its_prior():
    """RTMDet's init_weights begins all convolutions without a bias."""
    bias = build().proposal_branch.conv_margin.bias
    prior = math.log(math.log(2) / PRIOR_MARGIN**2)
    torch.testing.assert_close(bias, torch.full_like(bias, prior))


def test_an_objectness_branch_is_refused():
    with pytest.raises(ValueError, match="with_objectness=False"):
        build(with_objectness=True)


def test_a_misspelt_argument_is_refused():
    with pytest.raises(TypeError, match="mask_proposal"):
        build(mask_proposal="all")
    with pytest.raises(ValueError, match="sampling_center.*'box'.*'mask'"):
        build(sampling_center="middle")
