"""The mathematics on a GPU: the CPU's values and gradients."""

import pytest
import torch
from embeddings import RECIPES, UPSAMPLINGS, scene
from on_both import check_equal, check_masks, on_both, to
from pycocotools import mask as coco_mask

from mmdet_embedmask.functional import (
    assignment,
    mask_loss,
    mask_prediction,
    mask_targets,
    mask_tiles,
)
from mmdet_embedmask.functional.coupling import (
    coupled_logits,
    coupled_probabilities,
    squared_distance,
)
from mmdet_embedmask.functional.dense_masks import MaskRecipe
from mmdet_embedmask.functional.mask_loss import lovasz_hinge
from mmdet_embedmask.functional.mask_prediction import (
    masks_of_probabilities,
    predict_masks,
)
from mmdet_embedmask.functional.resize import aligned_bilinear, maps_at_size
from mmdet_embedmask.losses import LovaszHingeLoss
from mmdet_embedmask.tta.merged_views import View, mean_probability, merge_detections


@pytest.fixture
def embeddings():
    """Pixels (5, 16, 24), and of 7 proposals embeddings and margins; and their boxes."""
    pixels, *proposals, boxes = scene(7, 16, 24, torch.Generator().manual_seed(1))
    return [each.requires_grad_() for each in (pixels, *proposals)], boxes


@pytest.fixture
def masks():
    """Six masks (6, 128, 160), one of them empty, as bytes."""
    y, x = torch.meshgrid(torch.arange(128), torch.arange(160), indexing="ij")
    centers = [(30, 40, 25), (80, 60, 40), (100, 100, 12), (64, 64, 60), (5, 5, 9), (0, 0, 0)]
    return torch.stack([((x - a) ** 2 + (y - b) ** 2 < r**2) for a, b, r in centers]).byte()


@pytest.fixture
def points():
    """Points (P, 2) of two levels, their strides (P,) and their ranges (P, 2)."""
    levels = []
    for stride, low, high in ((8, -1, 64), (16, 64, 1e8)):
        y, x = torch.meshgrid(
            torch.arange(128 // stride) + 0.5, torch.arange(160 // stride) + 0.5, indexing="ij"
        )
        centers = stride * torch.stack([x, y], dim=2).reshape(-1, 2)
        number = len(centers)
        ranges = torch.tensor([[low, high]], dtype=torch.float32).expand(number, 2)
        levels.append((centers, torch.full((number,), float(stride)), ranges))
    return [torch.cat(each) for each in zip(*levels, strict=True)]


BOXES = torch.tensor([[5, 15, 55, 65], [40, 20, 120, 100], [88, 88, 112, 112], [4, 4, 124, 124.0]])


def test_distances_are_those_of_the_cpu(gpu, embeddings):
    distance = check_equal(squared_distance, *embeddings[0])[0]
    assert distance.shape == (7, 16, 24) and distance.max() > 10


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_logits_and_probabilities_are_those_of_the_cpu(gpu, embeddings, upsampling):
    for function in (coupled_logits, coupled_probabilities):
        maps, *gradients = check_equal(lambda *e: function(*e, **upsampling), *embeddings[0])  # noqa: B023
        assert maps.shape == (7, 32, 48)
        assert all(gradient.abs().max() > 0 for gradient in gradients)


@pytest.mark.parametrize("resize", ["bilinear", "aligned"])
def test_resized_maps_are_those_of_the_cpu(gpu, resize):
    maps = torch.rand(3, 16, 24, requires_grad=True)
    check_equal(lambda m: aligned_bilinear(m, 4), maps)
    check_equal(lambda m: maps_at_size(m, (60, 90), (77, 101), resize), maps)


@pytest.mark.parametrize("size", [(97, 301), (64, 96), (20, 31)])
@pytest.mark.parametrize("recipe", RECIPES)
def test_masks_are_those_of_the_cpu(gpu, embeddings, recipe, size):
    inputs, boxes = [e.detach() for e in embeddings[0]], embeddings[1]

    def predict(pixels, proposals, margins, bboxes):
        shapes = dict(img_shape=(120, 185), size=size)
        return predict_masks(pixels, proposals, margins, bboxes, **shapes, recipe=recipe)

    expected, found = on_both(predict, *inputs, boxes)
    assert 0 < expected.values[0].sum() < expected.values[0].numel()
    check_masks(found.values[0], expected.values[0])
    assert found.values[0].is_contiguous()


@pytest.mark.parametrize("recipe", RECIPES)
def test_run_lengths_hold_the_masks_of_the_cpu(gpu, embeddings, recipe):
    inputs, boxes = [e.detach() for e in embeddings[0]], embeddings[1]
    how = dict(img_shape=(120, 185), size=(96, 301), recipe=recipe)
    masks = predict_masks(*inputs, boxes, **how)
    codes = predict_masks(*to("cuda", inputs), boxes.to("cuda"), **how, mask_format="rle")
    decoded = torch.from_numpy(coco_mask.decode(codes)).permute(2, 0, 1).bool()
    check_masks(decoded, masks)


@pytest.mark.parametrize("mask_format", ["bitmap", "rle"])
def test_masks_in_parts_are_those_of_the_whole(gpu, embeddings, monkeypatch, mask_format):
    inputs, boxes = [e.detach() for e in embeddings[0]], embeddings[1]
    how = dict(img_shape=(120, 185), size=(97, 301), recipe=MaskRecipe(0.5))
    how |= dict(mask_format=mask_format)
    placed = *to("cuda", inputs), boxes.to("cuda")
    whole = predict_masks(*placed, **how)
    monkeypatch.setattr(mask_prediction, "MAX_CELLS_GPU", 2 * 16 * 24)
    monkeypatch.setattr(mask_tiles, "MAX_TILE_BYTES_GPU", 100_000)
    parts = predict_masks(*placed, **how)
    assert parts == whole if mask_format == "rle" else torch.equal(parts, whole)


def test_no_instance_has_no_mask(gpu):
    pixels, none = torch.rand(5, 8, 8).to("cuda"), torch.zeros(0, 5).to("cuda")
    how = dict(img_shape=(64, 64), size=(50, 60), recipe=MaskRecipe(0.5))
    masks = predict_masks(pixels, none, none, none[:, :4], **how)
    assert masks.shape == (0, 50, 60)
    assert predict_masks(pixels, none, none, none[:, :4], **how, mask_format="rle") == []


def test_masks_of_maps_at_the_mask_stride_are_those_of_the_cpu(gpu):
    probability = torch.rand(4, 16, 24)
    expected, found = on_both(
        lambda p: masks_of_probabilities(p, (60, 90), (77, 101), mask_thr=0.5), probability
    )
    check_masks(found.values[0], expected.values[0])


@pytest.mark.parametrize("mask_format", ["bitmap", "rle"])
def test_the_host_waits_for_where_masks_change_alone(gpu, embeddings, mask_format):
    """Bitmaps: which tiles are full, and which are crossed. Run lengths: which are crossed, where
    the masks in them change, and that list itself."""
    inputs, boxes = [e.detach() for e in embeddings[0]], embeddings[1]
    placed = *to("cuda", inputs), boxes.to("cuda")
    how = dict(img_shape=(120, 185), size=(97, 301), recipe=MaskRecipe(0.5))
    how |= dict(mask_format=mask_format)
    # The first image of a size brings the matrices of its resize there.
    predict_masks(*placed, **how)
    with gpu.counted() as waits:
        predict_masks(*placed, **how)
    assert len(waits) == dict(bitmap=2, rle=3)[mask_format], waits


@pytest.mark.parametrize("center_radius", [1.5, None])
def test_points_are_assigned_as_on_the_cpu(gpu, points, masks, center_radius):
    in_mask = mask_targets.masks_at_points(masks[:4], points[0])
    centers = mask_targets.mask_centroids(masks[:4])
    (gt_inds,) = check_equal(
        lambda *inputs: assignment.assign_points(
            *inputs[:4], center_radius=center_radius, in_mask=inputs[4], centers=inputs[5]
        ),
        *points,
        BOXES,
        in_mask,
        centers,
    )
    assert set(gt_inds.tolist()) == {-1, 0, 1, 2, 3}


def test_without_instances_no_point_is_assigned(gpu, points):
    (gt_inds,) = check_equal(assignment.assign_points, *points, torch.zeros(0, 4))
    assert (gt_inds == -1).all()


def test_the_best_proposals_are_those_of_the_cpu(gpu):
    gt_inds = torch.tensor([0, 2, -1, 0, 2, 2, -1])
    ious = torch.tensor([0.3, 0.5, 0.9, 0.3, 0.7, 0.7, 0.1])
    (best,) = check_equal(lambda *i: assignment.best_proposals(*i, 4), gt_inds, ious)
    assert best.tolist() == [0, -1, 4, -1]


def test_drawn_proposals_are_positives_and_as_many_as_wanted(gpu):
    gt_inds = [torch.tensor([0, -1, 1, 1, -1, 0]), torch.tensor([-1, -1, 0, -1, 0, -1])]
    drawn = [d.tolist() for d in assignment.draw_proposals([g.to("cuda") for g in gt_inds], 6)]
    assert drawn == [[0, 2, 3, 5], [2, 4]]
    some = [d.tolist() for d in assignment.draw_proposals([g.to("cuda") for g in gt_inds], 4)]
    assert sum(map(len, some)) == 4
    assert all(set(s) <= set(d) and s == sorted(s) for s, d in zip(some, drawn, strict=True))


def test_targets_are_those_of_the_cpu(gpu, masks, points):
    for target in ("bilinear", "point"):
        (found,) = check_equal(lambda m: mask_targets.mask_stride_targets(m, target), masks)  # noqa: B023
        assert found.shape == (6, 32, 40)
    (covered,) = check_equal(mask_targets.masks_at_points, masks, points[0])
    assert covered.sum(dim=0)[:5].min() > 0
    (centroids,) = check_equal(mask_targets.mask_centroids, masks)
    torch.testing.assert_close(centroids[0], torch.tensor([30.0, 40.0]))
    assert centroids[5].isnan().all()
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    (semantic,) = check_equal(lambda *i: mask_targets.semantic_targets(*i, 3), masks, labels)
    assert set(semantic.unique().tolist()) == {0, 1, 2, 3}


def test_the_lovasz_hinge_and_its_gradient_are_those_of_the_cpu(gpu):
    logits = (3 * torch.randn(5, 40, 50)).requires_grad_()
    targets = torch.rand(5, 40, 50) > torch.tensor([0.1, 0.5, 0.9, 1.0, 0.0])[:, None, None]
    loss, gradient = check_equal(lovasz_hinge, logits, targets)
    assert loss.min() > 0 and gradient.abs().sum(dim=(1, 2)).min() > 0
    weight = torch.rand(5)
    check_equal(LovaszHingeLoss(loss_weight=0.5), logits, targets, weight)


@pytest.mark.parametrize("max_pixels", [2**22, 2 * 32 * 48])
def test_the_mask_loss_is_the_cpus_whole_and_in_parts(gpu, embeddings, monkeypatch, max_pixels):
    monkeypatch.setattr(mask_loss, "MAX_LOSS_PIXELS", max_pixels)
    targets = torch.rand(3, 32, 48) > 0.6
    gt_inds = torch.tensor([0, 1, 2, 2, 1, 0, 0])
    losses, *gradients = check_equal(
        lambda *i: mask_loss.mask_losses(*i[:3], targets=i[3], gt_inds=i[4]),
        *embeddings[0],
        targets,
        gt_inds,
    )
    assert losses.shape == (7,) and all(g.abs().max() > 0 for g in gradients)


def test_views_are_merged_as_on_the_cpu(gpu):
    def merge(bboxes, scores, labels, probability):
        mirrored = bboxes[:, [2, 1, 0, 3]] * bboxes.new_tensor([-1, 1, -1, 1])
        mirrored = mirrored + bboxes.new_tensor([160, 0, 160, 0])
        views = [
            View(bboxes, scores, labels, probability, (128, 160), None),
            View(mirrored, scores * 0.9, labels, probability.flip(2), (128, 160), "horizontal"),
        ]
        merged = merge_detections(views, (128, 160), 0.6, 10)
        maps = [mean_probability(views, m, (128, 160), "bilinear") for m in merged.members.tolist()]
        return merged.bboxes, merged.scores, merged.labels, merged.members, torch.stack(maps)

    scores, labels = torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([0, 1, 0, 1])
    *_, members, maps = check_equal(merge, BOXES, scores, labels, torch.rand(4, 32, 40))
    assert members.tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]
    assert maps.shape == (4, 128, 160)
