"""The unit of the coupling, from the proposals that learn to the masks that are predicted."""

import pytest
import torch
from mmdet.structures.bbox import bbox_overlaps
from tiny import build_atss, build_model, build_rtmdet, data_batch, total_loss, views_of

from mmdet_embedmask import EmbedMaskTTAModel
from mmdet_embedmask.inspection import inspect_batch

UNITS = ("image", "level", "box")
DETECTORS = {
    "fcos": lambda **head: build_model(bbox_head=head),
    "atss": build_atss,
    "rtmdet": build_rtmdet,
}
detectors = pytest.mark.parametrize("detector", DETECTORS)


def untrained(detector, **head):
    """A model whose embeddings are nothing but positions, and whose boxes have some size."""
    model = DETECTORS[detector](**head).eval()
    own = model.bbox_head
    with torch.no_grad():
        for prediction in (own.proposal_branch.embedding, model.mask_head.embedding_prediction):
            for part in (prediction.conv_spatial_aware, prediction.conv_spatial_free):
                if part is not None:
                    part.weight.zero_()
                    part.bias.zero_()
        if detector == "fcos":
            own.conv_reg.weight.mul_(20)
            own.conv_reg.bias.fill_(3.0)
    return model


def ellipses(boxes, shape):
    """The ellipse in each box: (K, *shape) bool."""
    y, x = torch.meshgrid(*(torch.arange(side) + 0.5 for side in shape), indexing="ij")
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    away = [
        ((grid - middle[:, i, None, None]) / half[:, i, None, None]) ** 2
        for i, grid in enumerate((x, y))
    ]
    return sum(away) < 1


@detectors
def test_before_training_every_mask_is_the_ellipse_in_its_box(detector):
    model = untrained(detector, coupling_unit="box")
    model.bbox_head.test_cfg.update(clip_boxes="after_nms", max_per_img=300)
    model.bbox_head.test_cfg.nms.iou_threshold = 0.9
    (image,) = inspect_batch(model, data_batch([1]))
    boxes = image.bboxes
    # The corners of an ellipse that the image cuts are not those of its clipped box.
    inside = (boxes[:, :2] > 0).all(dim=1) & (boxes[:, 2:] < torch.tensor([160, 128])).all(dim=1)
    large = (boxes[:, 2:] - boxes[:, :2] > 32).all(dim=1)
    chosen = image.select(inside & large)
    assert len(chosen.scores) >= 2
    masks, expected = chosen.masks(0.5), ellipses(chosen.bboxes, (128, 160))
    ious = (masks & expected).sum(dim=(1, 2)) / (masks | expected).sum(dim=(1, 2))
    assert ious.min() > 0.93


@detectors
def test_before_training_every_mask_is_a_disc_of_three_strides_of_its_level(detector):
    model = untrained(detector, coupling_unit="level")
    data = model.data_preprocessor(data_batch([1]), training=False)
    with torch.no_grad():
        (results,) = model.bbox_head.predict(
            model.extract_feat(data["inputs"]), data["data_samples"], rescale=False
        )
    radii = (torch.log(torch.tensor(2.0)) / results.proposal_margins[:, 0]).sqrt() * results.units[
        :, 0
    ]
    assert set(results.units.flatten().tolist()) <= {8.0, 16.0, 32.0, 64.0, 128.0}
    # The convolution of the margin adds a little.
    torch.testing.assert_close(radii, 3 * results.units[:, 0], rtol=0.05, atol=0)


@detectors
@pytest.mark.parametrize("unit", UNITS)
def test_proposals_that_learn_have_the_frames_that_they_will_be_predicted_with(detector, unit):
    frames = {}
    for training in (True, False):
        torch.manual_seed(0)
        model = untrained(detector, coupling_unit=unit, mask_proposals="all")
        model.bbox_head.test_cfg.update(nms_pre=10_000, max_per_img=10_000)
        model.bbox_head.test_cfg.nms.iou_threshold = 1.0
        data = model.data_preprocessor(data_batch([2]), training=training)
        with torch.no_grad():
            features = model.extract_feat(data["inputs"])
            if training:
                model.bbox_head.train()
                model.bbox_head.loss(features, data["data_samples"])
                (found,) = model.bbox_head.get_positive_infos()
            else:
                (found,) = model.bbox_head.predict(features, data["data_samples"], rescale=False)
        frames[training] = torch.cat([found.positions, found.units], dim=1)
    assert len(frames[True]) > 2
    nearest = torch.cdist(frames[True].double(), frames[False].double()).min(dim=1).values
    assert nearest.max() < 1e-2


@detectors
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("counts", [[3, 2], [2, 0], [0, 0]])
def test_every_parameter_has_a_finite_gradient(detector, unit, counts):
    model = DETECTORS[detector](coupling_unit=unit)
    loss, losses = total_loss(model, data_batch(counts))
    loss.backward()
    assert (float(losses["loss_mask"]) > 0) == any(counts)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_the_mask_loss_leaves_the_boxes_alone():
    model = build_model(bbox_head=dict(coupling_unit="box"))
    _, losses = total_loss(model, data_batch([3, 2]))
    losses["loss_mask"].backward()
    gradient = model.bbox_head.conv_reg.weight.grad
    assert gradient is None or gradient.abs().max() == 0
    assert model.bbox_head.proposal_branch.conv_margin.weight.grad.abs().max() > 0


@pytest.mark.parametrize("embedding", ["spatial_free", "coord_conv"])
def test_embeddings_without_a_position_have_no_unit(embedding):
    maps = []
    for unit in UNITS:
        torch.manual_seed(0)
        parts = dict(bbox_head=dict(embedding=embedding, coupling_unit=unit))
        model = build_model(**parts, mask_head=dict(embedding=embedding)).eval()
        (image,) = inspect_batch(model, data_batch([1]))
        maps.append(image.probability)
    assert len(maps[0]) and torch.equal(maps[0], maps[1]) and torch.equal(maps[0], maps[2])


@pytest.mark.parametrize("options", [dict(embedding="spatial_aware"), dict(learnable_margin=False)])
def test_single_parts_and_the_fixed_margin_have_the_unit_of_the_box(options):
    model = untrained("fcos", coupling_unit="box", learnable_margin=False)
    (whole,) = inspect_batch(model, data_batch([1]))
    head = dict(coupling_unit="box", learnable_margin=False) | options
    part = build_model(
        bbox_head=head, mask_head=dict(embedding=options.get("embedding", "both"))
    ).eval()
    state = {
        name: value
        for name, value in model.state_dict().items()
        if name in part.state_dict() and value.shape == part.state_dict()[name].shape
    }
    assert not part.load_state_dict(state, strict=False).missing_keys
    (alone,) = inspect_batch(part, data_batch([1]))
    assert len(alone.scores) > 3
    torch.testing.assert_close(alone.probability, whole.probability, rtol=0, atol=1e-6)


def test_merged_views_hold_the_masks_of_their_units():
    model = untrained("fcos", coupling_unit="box")
    model.bbox_head.test_cfg.clip_boxes = "after_nms"
    merger = EmbedMaskTTAModel(
        module=model, tta_cfg=dict(nms=dict(type="nms", iou_threshold=0.6), max_per_img=5)
    )
    with torch.no_grad():
        (merged,) = merger.test_step(views_of(data_batch([1]), None, "horizontal"))
    found = merged.pred_instances
    boxes, masks = found.bboxes, found.masks
    height, width = masks.shape[1:]
    inside = (boxes[:, :2] > 1).all(dim=1) & (boxes[:, 2:] < torch.tensor([width, height]) - 1).all(
        dim=1
    )
    large = (boxes[:, 2:] - boxes[:, :2] > 32).all(dim=1)
    assert (inside & large).any()
    for box, mask in zip(boxes[inside & large], masks[inside & large], strict=True):
        rows, columns = mask.any(dim=1).nonzero()[:, 0], mask.any(dim=0).nonzero()[:, 0]
        around = torch.tensor([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]])
        assert bbox_overlaps(around.float(), box[None]).item() > 0.8


def test_an_unknown_unit_is_refused():
    with pytest.raises(ValueError, match=r"coupling_unit='object' is unknown.*'image', 'level'"):
        build_model(bbox_head=dict(coupling_unit="object"))
    with pytest.raises(ValueError, match="aware_prior_margin=0 must be greater than zero"):
        build_model(bbox_head=dict(aware_prior_margin=0))
