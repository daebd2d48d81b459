"""Hand-made inspected images, and panels cut out of pictures, for the tests of what is drawn."""

import numpy as np
import torch

from mmdet_embedmask.evaluation.matching import Objects
from mmdet_embedmask.functional.coupling import coupled_probabilities
from mmdet_embedmask.inspection import InspectedImage
from mmdet_embedmask.visualization.style import GAP, HEADER_HEIGHT

SIZE = (64, 96)
"""Of the network input, without padding; the image has twice the size."""


def inspected_image(free=2, aware=2, pixels=None, margin=1.0):
    """Two detections, left and right; pixel embeddings equal to the detection of their half.

    The spatial-aware channels are the position over 16 pixels; the free ones are 1 or -1.
    """
    height, width = SIZE[0] // 8, SIZE[1] // 8
    ys, xs = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    left = (xs < width / 2).float() * 2 - 1
    if pixels is None:
        pixels = torch.cat([torch.stack([xs / 2, ys / 2])[:aware], left.expand(free, -1, -1)])
    boxes = torch.tensor([[8.0, 8.0, 40.0, 56.0], [56.0, 8.0, 88.0, 56.0]])
    cells = [(3, 2), (3, 8)]
    proposals = torch.stack([pixels[:, y, x] for y, x in cells])
    margins = torch.full_like(proposals, margin)
    return InspectedImage(
        pixel_embedding=pixels,
        proposal_embedding=proposals,
        proposal_margin=margins,
        probability=coupled_probabilities(pixels, proposals, margins),
        bboxes=boxes,
        scores=torch.tensor([0.9, 0.8]),
        labels=torch.tensor([0, 1]),
        mask_resize="bilinear",
        stride=8,
        mask_stride=4,
        inclusive_boxes=False,
        spatial_aware_dim=aware,
        meta=dict(
            img_shape=SIZE,
            ori_shape=(2 * SIZE[0], 2 * SIZE[1]),
            scale_factor=(0.5, 0.5),
            img_path="image.png",
        ),
    )


def gray_image(gray=100):
    return np.full((2 * SIZE[0], 2 * SIZE[1], 3), gray, np.uint8)


def panel(picture, column, size, tile, row=0):
    """The picture of a panel, without its title, in a page of equal rows."""
    top = GAP + HEADER_HEIGHT + row * (HEADER_HEIGHT + size[0] + GAP) + HEADER_HEIGHT
    left = GAP + column * (tile + GAP) + (tile - size[1]) // 2
    return picture[top : top + size[0], left : left + size[1]]


def assert_nothing_is_clipped(picture):
    """The paper around everything is white: no text reaches the border."""
    inside = np.zeros(picture.shape[:2], bool)
    inside[GAP:-GAP, GAP:-GAP] = True
    assert (picture[~inside] == 255).all()


def box_mask(x1, y1, x2, y2, size=(100, 100)):
    mask = np.zeros(size, bool)
    mask[y1:y2, x1:x2] = True
    return mask


def objects(*masks, labels=None, scored=False):
    stacked = np.array(masks, bool).reshape(len(masks), *(masks[0].shape if masks else (100, 100)))
    labels = [0] * len(masks) if labels is None else labels
    return Objects(stacked, labels, [0.9] * len(masks) if scored else None)
