"""The proposals that learn a mask, as they travel from the proposal head to the pixel head.

Shapes used in this module:

    N: images, P: points of all levels, D: embedding channels, G: instances and K: chosen proposals
    of one image
"""

from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor

from ..functional.assignment import BACKGROUND, best_proposals


def best_fitting_proposals(gt_inds: Tensor, boxes: Tensor, gt_bboxes: Tensor) -> Tensor:
    """Point of each instance whose predicted box has the highest IoU with it.

    The IoU is MMDetection's; the released program's, of boxes from x1 to x2 inclusive, differs a
    little.

    Args:
        gt_inds: (P,) from `assign_points`.
        boxes: (P, 4) predicted, in pixels.
        gt_bboxes: (G, 4).

    Returns:
        (K,) point indices in the order of the instances, K <= G.
    """
    positive = gt_inds != BACKGROUND
    ious = boxes.new_zeros(len(boxes))
    ious[positive] = bbox_overlaps(boxes[positive], gt_bboxes[gt_inds[positive]], is_aligned=True)
    best = best_proposals(gt_inds, ious, len(gt_bboxes))
    return best[best != BACKGROUND]


def gather_proposals(
    chosen: list[Tensor],
    batch_gt_inds: list[Tensor],
    points: Tensor,
    embeddings: Tensor,
    margins: Tensor,
) -> list[InstanceData]:
    """Collect what the pixel head needs of the chosen proposals.

    Args:
        chosen: (K,) point indices of each image.
        batch_gt_inds: (P,) of each image.
        points: (P, 2).
        embeddings: (N, P, D) without position.
        margins: (N, P, D).

    Returns:
        For every image ``gt_inds`` (K,), ``priors`` (K, 2), ``proposal_embeddings`` (K, D),
        ``proposal_margins`` (K, D).
    """
    return [
        InstanceData(
            gt_inds=batch_gt_inds[image][index],
            priors=points[index],
            proposal_embeddings=embeddings[image, index],
            proposal_margins=margins[image, index],
        )
        for image, index in enumerate(chosen)
    ]
