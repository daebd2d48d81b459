"""Which point learns which instance (as FCOS), and which proposals learn the instance's mask.

Shapes used in this module:

    P: points of all levels, G: instances of one image

    points, strides, regress_ranges  (P, 2) as (x, y), (P,), (P, 2)   pixels of the network input
    bboxes                           (G, 4) as (x1, y1, x2, y2)       pixels of the network input
    gt_inds                          (P,)                             index into G, -1: background
"""

import torch
from torch import Tensor

BACKGROUND = -1
"""No instance, among the instances of points; no point, among the points of instances."""

MAX_PAIRS = 2**20
"""Pairs of a point and an instance that are compared at once, which takes about 40 MB."""


def distances_to_sides(points: Tensor, bboxes: Tensor) -> Tensor:
    """Distances from points to the left, top, right and bottom sides of boxes.

    Args:
        points: (..., 2), broadcast against the boxes.
        bboxes: (..., 4).

    Returns:
        (..., 4), all positive where the point lies inside the box.

    Example:
        >>> distances_to_sides(torch.tensor([3.0, 4.0]), torch.tensor([0.0, 0.0, 10.0, 20.0]))
        tensor([ 3.,  4.,  7., 16.])
    """
    return torch.cat([points - bboxes[..., :2], bboxes[..., 2:] - points], dim=-1)


def assign_points(
    points: Tensor,
    strides: Tensor,
    regress_ranges: Tensor,
    bboxes: Tensor,
    *,
    center_radius: float | None = 1.5,
    in_mask: Tensor | None = None,
    centers: Tensor | None = None,
) -> Tensor:
    """Assign every point to the smallest instance that it is a candidate for.

    A point is a candidate for an instance if it lies inside the instance's box; within
    ``center_radius`` strides of the instance's centre and inside its mask, where these are asked
    for; and if its largest distance to a side falls into the range of the point's level.

    The released plain program measures a box from x1 to x2 inclusive when it compares areas; here,
    as in MMDetection, the area is (x2 - x1) * (y2 - y1).

    Args:
        points: (P, 2).
        strides: (P,) stride of each point's level.
        regress_ranges: (P, 2) inclusive range of each point's level.
        bboxes: (G, 4).
        center_radius: half the side of the centre square in strides; None: the whole box.
        in_mask: (P, G) bool, whether the instance's mask covers the point; None: not asked for.
        centers: (G, 2) centre of each instance. For None, and for those that are not finite, it is
            the middle of the box.

    Returns:
        (P,) gt_inds.

    Example:
        >>> points = torch.tensor([[4.0, 4.0], [12.0, 4.0], [60.0, 4.0]])
        >>> strides, ranges = torch.full((3,), 8.0), torch.tensor([[-1.0, 64.0]]).expand(3, 2)
        >>> boxes = torch.tensor([[0.0, 0, 40, 8], [0, 0, 8, 8]])  # the smaller one wins
        >>> assign_points(points, strides, ranges, boxes, center_radius=None)
        tensor([ 1,  0, -1])
    """
    if len(bboxes) == 0:
        return points.new_full((len(points),), BACKGROUND, dtype=torch.long)
    box_centers = (bboxes[:, :2] + bboxes[:, 2:]) / 2
    if centers is None:
        centers = box_centers
    else:
        centers = centers.to(box_centers).where(centers.isfinite(), box_centers)
    areas = (bboxes[:, 2:] - bboxes[:, :2]).prod(dim=-1)
    parts = []
    step = max(MAX_PAIRS // len(bboxes), 1)
    for start in range(0, max(len(points), 1), step):
        chosen = slice(start, start + step)
        candidate = _candidates(
            points[chosen],
            strides[chosen],
            regress_ranges[chosen],
            bboxes,
            centers=centers,
            center_radius=center_radius,
        )
        if in_mask is not None:
            candidate &= in_mask[chosen]
        smallest_area, gt_inds = areas.where(candidate, torch.inf).min(dim=1)
        parts.append(gt_inds.where(smallest_area < torch.inf, BACKGROUND))
    return torch.cat(parts)


def _candidates(
    points: Tensor,
    strides: Tensor,
    regress_ranges: Tensor,
    bboxes: Tensor,
    *,
    centers: Tensor,
    center_radius: float | None,
) -> Tensor:
    """Whether box and level make a point a candidate for an instance: (P, G) bool."""
    sides = distances_to_sides(points[:, None], bboxes)  # (P, G, 4)
    largest = sides.amax(dim=-1)
    candidate = sides.amin(dim=-1) > 0
    if center_radius is not None:
        offset = (points[:, None] - centers).abs().amax(dim=-1)
        candidate &= offset < center_radius * strides[:, None]
    return candidate & (largest >= regress_ranges[:, :1]) & (largest <= regress_ranges[:, 1:])


def best_proposals(gt_inds: Tensor, ious: Tensor, num_gts: int) -> Tensor:
    """For every instance, the assigned point whose predicted box fits it best.

    Args:
        gt_inds: (P,).
        ious: (P,) IoU of each point's predicted box with its instance; ignored for background.
        num_gts: G.

    Returns:
        (G,) point index, of several best ones the first; -1 for an instance without a point.

    Example:
        >>> gt_inds, ious = torch.tensor([0, 0, -1, 2]), torch.tensor([0.3, 0.7, 0.9, 0.1])
        >>> best_proposals(gt_inds, ious, num_gts=3)
        tensor([ 1, -1,  3])
    """
    positive = (gt_inds != BACKGROUND).nonzero()[:, 0]
    instance, iou = gt_inds[positive], ious[positive]
    best_iou = iou.new_full((num_gts,), -torch.inf).scatter_reduce(0, instance, iou, "amax")
    is_best = iou == best_iou[instance]
    none = len(gt_inds)
    best = positive.new_full((num_gts,), none).scatter_reduce(
        0, instance[is_best], positive[is_best], "amin"
    )
    best[best == none] = BACKGROUND
    return best


def draw_proposals(batch_gt_inds: list[Tensor], max_proposals: int) -> list[Tensor]:
    """All positive points of a batch, at random at most ``max_proposals`` of them (fused).

    Args:
        batch_gt_inds: (P,) gt_inds of each image.
        max_proposals: limit over all images together.

    Returns:
        (K,) point indices of each image, ascending; the K sum up to at most the limit.

    Example:
        >>> draw_proposals([torch.tensor([0, -1, 1]), torch.tensor([-1, 0, -1])], max_proposals=3)
        [tensor([0, 2]), tensor([1])]
    """
    positive = torch.stack(batch_gt_inds) != BACKGROUND
    image, point = positive.nonzero().unbind(dim=1)
    if len(point) > max_proposals:
        drawn = torch.randperm(len(point), device=point.device)[:max_proposals].sort().values
        image, point = image[drawn], point[drawn]
    return [point[image == index] for index in range(len(batch_gt_inds))]
