"""Parity with the authors' plain program, on the figures it computed.

Deliberate differences, each named where it occurs: the box convention (x2 inclusive there, +1 in
areas, IoU and the GIoU loss) and the clamp of P near 0 and 1 (1e-9 there).
"""

from functools import partial

import numpy as np
import pytest
import torch
from golden_figures import sampled
from golden_plain import PADDED, STRIDES, build_heads, ground_truth, levels, metas

from mmdet_embedmask.functional.coupling import coupled_probabilities, squared_distance
from mmdet_embedmask.functional.geometry import cell_positions
from mmdet_embedmask.functional.mask_loss import lovasz_hinge
from mmdet_embedmask.functional.mask_targets import mask_stride_targets
from mmdet_embedmask.heads import embed_mask_head

F64, F32 = torch.float64, torch.float32
HEAD_TOLERANCE = {F64: 1e-10, F32: 2e-5}
LOSS_TOLERANCE = {F64: 1e-9, F32: 1e-5}
GRAD_TOLERANCE = {F64: 1e-9, F32: 1e-6}
# MMDetection's binary cross entropy rounds its target to float32, whatever the logits are.
CENTERNESS_TOLERANCE = 1e-6


def assert_near(actual: torch.Tensor, expected: np.ndarray, tolerance: float) -> None:
    torch.testing.assert_close(
        actual.detach().double(), torch.from_numpy(expected).double(), rtol=0, atol=tolerance
    )


def embeddings_with_position(mask_head, offsets):
    """Our proposal head leaves the position to the shared layer; theirs adds it itself."""
    return [
        mask_head.spatial_embedding(level, cell_positions(level, stride))
        for level, stride in zip(offsets, STRIDES, strict=True)
    ]


DIM8 = dict(bbox_head=dict(centerness_on_reg=False, margin_reduce_factor=1.0))


@pytest.mark.parametrize("dtype", [F64, F32])
@pytest.mark.parametrize("which", ["dim16", "dim8"])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_heads_give_what_theirs_gave(which, mode, dtype, request):
    golden = request.getfixturevalue("golden_head" if which == "dim16" else "golden_head_dim8")
    options = {} if which == "dim16" else DIM8 | dict(embed_reduce_factor=2.0)
    bbox_head, mask_head = build_heads(golden, dtype, **options)
    bbox_head.train(mode == "train")
    features = tuple(levels(golden, "feature", dtype))
    cls, bbox, centerness, offsets, margins = bbox_head(features)
    (pixels,) = mask_head(features)
    if mode == "eval":  # in pixels, which are the strides times what training gives
        bbox = [level / stride for level, stride in zip(bbox, STRIDES, strict=True)]
    outputs = {
        "logits": cls,
        "bbox_reg": bbox,
        "centerness": centerness,
        "proposal_embed": embeddings_with_position(mask_head, offsets),
        "proposal_margin": margins,
    }
    for name, ours in outputs.items():
        for level, theirs in zip(ours, levels(golden, f"train/{name}", F64), strict=True):
            assert_near(sampled(level), theirs.numpy(), HEAD_TOLERANCE[dtype])
    assert_near(sampled(pixels), golden["train/pixel_embed"], HEAD_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", [F64, F32])
def test_boxes_without_norm_on_bbox_are_theirs(golden_head_dim8, dtype):
    options = dict(bbox_head=DIM8["bbox_head"] | dict(norm_on_bbox=False))
    bbox_head, _ = build_heads(golden_head_dim8, dtype, **options)
    boxes = bbox_head(tuple(levels(golden_head_dim8, "feature", dtype)))[1]
    name = "norm_reg_targets_false/bbox_reg"
    for level, theirs in zip(boxes, levels(golden_head_dim8, name, F64), strict=True):
        ours = sampled(level).double()
        torch.testing.assert_close(ours, theirs, rtol=HEAD_TOLERANCE[dtype], atol=0)


def test_points_lie_where_theirs_lie(golden_head):
    bbox_head, _ = build_heads(golden_head, F64)
    sizes = [level.shape[-2:] for level in levels(golden_head, "feature", F64)]
    points = bbox_head.prior_generator.grid_priors(sizes, dtype=F64, device="cpu")
    for ours, (height, width), stride in zip(points, sizes, STRIDES, strict=True):
        # Theirs: x = column * s + s // 2, y = row * s + s // 2, row by row.
        theirs = [
            (x * stride + stride // 2, y * stride + stride // 2)
            for y in range(height)
            for x in range(width)
        ]
        assert ours.tolist() == [list(point) for point in theirs]


VARIANTS = {
    "base": dict(),
    "sample_in_mask_false": dict(sample_in_mask=False),
    "fix_margin": dict(learnable_margin=False),
    "center_off": dict(center_sampling=False),
}


OUTPUTS = ("logits", "bbox_reg", "centerness", "proposal_embed", "proposal_margin")


@pytest.fixture(scope="session")
def head_outputs(golden_head):
    """What both programs' losses are given: our outputs in float64, equal to theirs to 1e-12."""
    bbox_head, mask_head = build_heads(golden_head, F64)
    features = tuple(levels(golden_head, "feature", F64))
    with torch.no_grad():
        cls, bbox, centerness, offsets, margins = bbox_head(features)
        embeddings = embeddings_with_position(mask_head, offsets)
        outputs = dict(zip(OUTPUTS, (cls, bbox, centerness, embeddings, margins), strict=True))
        (pixels,) = mask_head(features)
    return outputs | dict(pixel_embed=pixels)


class Replay:
    """The golden head outputs through our losses, as leaves whose gradients can be read."""

    def __init__(self, golden_head, head_outputs, golden_loss, variant, dtype):
        self.bbox_head, self.mask_head = build_heads(golden_head, dtype)
        for name, value in VARIANTS[variant].items():
            setattr(self.bbox_head, name, value)
        # The released program couples at stride 4 after resizing the embedding.
        self.mask_head.upsample = "embedding"
        self.leaves = {
            name: [x.to(dtype, copy=True).requires_grad_() for x in head_outputs[name]]
            for name in OUTPUTS
        }
        if variant == "fix_margin":
            prior = np.log(2) / 4
            self.leaves["proposal_margin"] = [
                torch.full_like(x, prior).requires_grad_() for x in self.leaves["proposal_margin"]
            ]
        self.pixels = head_outputs["pixel_embed"].to(dtype, copy=True).requires_grad_()
        self.truth = ground_truth(golden_loss, dtype)
        # Their outputs have the position added already: add nothing.
        with torch.no_grad():
            self.mask_head.spatial_embedding.position_scale.scale.zero_()
        self.losses = self.bbox_head.loss_by_feat(*self.leaves.values(), self.truth, metas())

    def mask_loss(self):
        self.positives = self.bbox_head.get_positive_infos()
        return self.mask_head.loss_by_feat(
            self.pixels, self.truth, metas(), self.positives, p3=None
        )["loss_mask"]


@pytest.fixture
def replay(golden_head, head_outputs, golden_loss):
    return partial(Replay, golden_head, head_outputs, golden_loss)


@pytest.fixture(params=list(VARIANTS))
def variant(request):
    return request.param


def proposal_index(positives, image, num_gts):
    """Chosen location of each instance as the golden arrays have it: -1 for none."""
    index = torch.full((num_gts,), -1)
    centers = positives[image].positions.round().long()
    for gt, (x, y) in zip(positives[image].gt_inds, centers, strict=True):
        index[gt] = locate(int(x), int(y))
    return index


def locate(x, y):
    """Index of the location with this centre, over all levels."""
    start = 0
    height, width = PADDED[0] // 8, PADDED[1] // 8
    for stride in STRIDES:
        if x % stride == stride // 2 and y % stride == stride // 2:
            return start + (y // stride) * width + x // stride
        start += height * width
        height, width = (height + 1) // 2, (width + 1) // 2
    raise AssertionError(f"({x}, {y}) is no location")


def test_points_are_assigned_as_theirs_were(replay, golden_loss, variant, monkeypatch):
    replay_inds = []
    assign = embed_mask_head.assign_points
    monkeypatch.setattr(
        embed_mask_head,
        "assign_points",
        lambda *args, **options: replay_inds.append(assign(*args, **options)) or replay_inds[-1],
    )
    replayed = replay(variant, F64)
    for image, gt_inds in enumerate(replay_inds):
        # Areas are (x2 - x1) (y2 - y1) here and (x2 - x1 + 1) (y2 - y1 + 1) there: same order.
        expected = torch.from_numpy(golden_loss[f"{variant}/matched_idxes/{image}"]).long()
        assert torch.equal(gt_inds, expected)
        labels = replayed.truth[image].labels[gt_inds.clamp(min=0)] + 1
        expected_labels = torch.from_numpy(golden_loss[f"{variant}/labels/{image}"]).long()
        assert torch.equal(labels.where(gt_inds >= 0, 0), expected_labels)


def test_each_instance_chooses_the_proposal_that_it_chose_there(replay, golden_loss, variant):
    positives = replay(variant, F64).bbox_head.get_positive_infos()
    for image, num_gts in enumerate((8, 5)):
        expected = torch.from_numpy(golden_loss[f"{variant}/proposal_index/{image}"])
        # IoU is without +1 here: the best proposal is the same one.
        assert torch.equal(proposal_index(positives, image, num_gts), expected)


def test_box_targets_are_theirs(replay, golden_loss):
    replayed = replay("base", F64)
    points = replayed.bbox_head.prior_generator.grid_priors(
        [level.shape[-2:] for level in replayed.leaves["logits"]], dtype=F64, device="cpu"
    )
    labels, targets = replayed.bbox_head.get_targets(points, replayed.truth)
    compared = 0
    for level, (label, target) in enumerate(zip(labels, targets, strict=True)):
        positive = label < 5
        expected = golden_loss[f"base/reg_targets_level_first/{level}"]
        assert_near(target[positive], expected[positive.numpy()], 1e-6)
        compared += int(positive.sum())
    assert compared == 46 + 35


@pytest.mark.parametrize("dtype", [F64, F32])
def test_losses_of_class_and_centerness_are_theirs(replay, golden_loss, variant, dtype):
    losses = replay(variant, dtype).losses
    assert_near(losses["loss_cls"], golden_loss[f"{variant}/loss_cls"], LOSS_TOLERANCE[dtype])
    centerness = golden_loss[f"{variant}/loss_centerness"]
    assert_near(losses["loss_centerness"], centerness, CENTERNESS_TOLERANCE)


def their_giou_loss(sides, targets):
    """GIoU of the released program: distances in strides, IoU = (I + 1) / (U + 1)."""

    def area(x):
        return (x[:, 0] + x[:, 2]) * (x[:, 1] + x[:, 3])

    low, high = torch.minimum(sides, targets), torch.maximum(sides, targets)
    inter, enclosing = area(low), area(high) + 1e-7
    union = area(sides) + area(targets) - inter
    return 1 - ((inter + 1) / (union + 1) - (enclosing - union) / enclosing)


def test_box_loss_differs_by_the_box_convention_alone(replay, golden_loss, variant):
    replayed = replay(variant, F64)
    head = replayed.bbox_head
    points = head.prior_generator.grid_priors(
        [level.shape[-2:] for level in replayed.leaves["logits"]], dtype=F64, device="cpu"
    )
    labels, targets = (torch.cat(x) for x in head.get_targets(points, replayed.truth))
    predictions = torch.cat(
        [x.permute(0, 2, 3, 1).reshape(-1, 4) for x in replayed.leaves["bbox_reg"]]
    )
    positive = labels < 5
    weight = head.centerness_target(targets[positive])
    theirs = their_giou_loss(predictions[positive], targets[positive])
    theirs = (theirs * weight).sum() / weight.sum()
    # Our points, targets and weights under their formula give their figure ...
    assert_near(theirs, golden_loss[f"{variant}/loss_reg"], 1e-9)
    # ... and ours is MMDetection's GIoU, which is not +1-smoothed and so a little larger.
    assert 0 < float(replayed.losses["loss_bbox"]) - float(theirs) < 0.2 * float(theirs)


@pytest.mark.parametrize("dtype", [F64, F32])
def test_the_mask_loss_and_its_gradients_are_theirs(replay, golden_loss, variant, dtype):
    replayed = replay(variant, dtype)
    loss = replayed.mask_loss()
    assert_near(loss, golden_loss[f"{variant}/mask_loss"], LOSS_TOLERANCE[dtype])
    loss.backward()
    tolerance = GRAD_TOLERANCE[dtype]
    assert_near(
        sampled(replayed.pixels.grad), golden_loss[f"{variant}/grad/pixel_embed"], tolerance
    )
    for name in ("proposal_embed", "proposal_margin"):
        if variant == "fix_margin" and name == "proposal_margin":
            continue  # Their margin is a constant; the head's test shows ours is one too.
        for level, leaf in enumerate(replayed.leaves[name]):
            assert_near(
                sampled(leaf.grad), golden_loss[f"{variant}/grad/{name}/{level}"], tolerance
            )
    # The mask loss does not move boxes, classes or center-ness.
    assert all(leaf.grad is None for leaf in replayed.leaves["bbox_reg"])


def test_gradients_of_class_and_centerness_are_theirs(replay, golden_loss):
    replayed = replay("base", F64)
    (replayed.losses["loss_cls"] + replayed.losses["loss_centerness"]).backward()
    for name, tolerance in (("logits", GRAD_TOLERANCE[F64]), ("centerness", CENTERNESS_TOLERANCE)):
        for level, leaf in enumerate(replayed.leaves[name]):
            assert_near(
                sampled(leaf.grad), golden_loss[f"base/grad_det_total/{name}/{level}"], tolerance
            )


def test_mask_targets_probabilities_and_losses_of_each_instance_are_theirs(replay, golden_loss):
    replayed = replay("base", F64)
    for image, proposals in enumerate(replayed.bbox_head.get_positive_infos()):
        masks = torch.from_numpy(replayed.truth[image].masks.masks)
        targets = mask_stride_targets(masks)[proposals.gt_inds]
        packed = golden_loss[f"base/mask_target_stride4_packed/{image}"]
        expected = np.unpackbits(packed, axis=-1)[..., : PADDED[1] // 4].astype(bool)
        assert np.array_equal(targets.numpy(), expected)
        coupled = replayed.pixels[image], proposals.proposal_embeddings, proposals.proposal_margins
        probability = coupled_probabilities(*coupled, upsample="embedding")
        assert_near(sampled(probability), golden_loss[f"base/mask_prob_stride4/{image}"], 1e-10)
        losses = lovasz_hinge(probability.logit(), targets)
        assert_near(losses, golden_loss[f"base/mask_loss_per_instance/{image}"], 1e-9)


CASES = (
    "rand_4x5 rand_17x13 rand_64x80 all_zero_target all_one_target exact01_correct_side "
    "exact01_wrong_side all_zero_target_prob_one near_01"
).split()


@pytest.mark.parametrize("program, clamp", [("t1", 1e-9), ("t2", 1e-6)])
@pytest.mark.parametrize("case", CASES)
def test_the_lovasz_hinge_and_its_gradient_are_theirs(golden_lovasz, case, program, clamp):
    probability = torch.from_numpy(golden_lovasz[f"{case}/prob"]).requires_grad_()
    targets = torch.from_numpy(golden_lovasz[f"{case}/target"])
    # Their clamp of P is put in here, outside the loss: ours clamps the distance (coupling.py).
    loss = lovasz_hinge(probability.clamp(clamp, 1 - clamp).logit(), targets)
    assert_near(loss, golden_lovasz[f"{case}/{program}_f64/loss"], 1e-9)
    loss.sum().backward()
    expected = torch.from_numpy(golden_lovasz[f"{case}/{program}_f64/grad"])
    # Gradients reach 1 / clamp where P is near 0 or 1: 1e-9 relative there.
    torch.testing.assert_close(probability.grad, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", ["rand_4x5", "rand_17x13", "rand_64x80"])
def test_the_lovasz_hinge_in_float32_is_near_theirs_in_float64(golden_lovasz, case):
    logits = torch.from_numpy(golden_lovasz[f"{case}/prob"]).clamp(1e-6, 1 - 1e-6).logit().float()
    loss = lovasz_hinge(logits, torch.from_numpy(golden_lovasz[f"{case}/target"]))
    assert_near(loss, golden_lovasz[f"{case}/t2_f64/loss"], 1e-4)


def test_no_distance_is_near_their_clamp_or_ours(replay, golden_loss):
    """Their P is clamped at 1e-9 on both sides, our distance at 1e-6 from below only.

    On the golden outputs no distance is near either clamp, so both give the same loss; the figures
    here say how far from the clamps they are.
    """
    replayed = replay("base", F64)
    distances = torch.cat(
        [
            squared_distance(pixels, p.proposal_embeddings, p.proposal_margins).flatten()
            for pixels, p in zip(
                replayed.pixels, replayed.bbox_head.get_positive_infos(), strict=True
            )
        ]
    )
    assert distances.min() > 1e-3
    assert distances.max() < -np.log(1e-9)
