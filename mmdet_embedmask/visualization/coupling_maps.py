"""Where an instance's mask comes from: its two probabilities and their product (paper figure 3).

Shapes used in this module:

    K: detections, h, w: size of P3 of the padded network input
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..functional.coupling import mask_probability, squared_distance
from ..functional.resize import maps_at_size
from ..inspection import InspectedImage
from .colors import neighbor_colors
from .layout import beside, page, picture_size, resized, titled
from .maps import color_key, colored_map
from .style import Color, Image

CONTOUR = 2
"""Thickness of the contour in pixels; a dark edge of one pixel lies around it."""


def coupling_maps(
    image: Image,
    inspected: InspectedImage,
    instances: Sequence[int],
    *,
    class_names: Sequence[str],
    mask_thr: float,
    title: str,
    tile: int = 240,
) -> Image:
    """Draw one row an instance: box, spatial-aware P, spatial-free P, their product, contour.

    Args:
        image: (H, W, 3) in blue, green, red.
        inspected: the same image.
        instances: positions among its detections.
        class_names: name of every label.
        mask_thr: the contour is where P crosses it.
        title: of the picture.
        tile: pixels of the longer side of each panel.

    Returns:
        (height, width, 3) in blue, green, red.

    Raises:
        ValueError: if there is no instance, or one that was not detected.
    """
    if not instances:
        raise ValueError("there is no instance to draw: lower the score threshold")
    count = len(inspected.scores)
    if not all(0 <= index < count for index in instances):
        raise ValueError(f"instances {list(instances)} are not all among the {count} detections")
    size = picture_size(image.shape, tile)
    picture = resized(image, size)
    shape = inspected.meta["img_shape"][:2]
    chosen = inspected.select(inspected.scores.new_tensor(instances).long())
    aware, free = (
        maps_at_size(part, shape, size, stride=inspected.stride).cpu().numpy()
        for part in part_probabilities(chosen)
    )
    product = (
        maps_at_size(chosen.probability, shape, size, chosen.mask_resize, stride=chosen.mask_stride)
        .cpu()
        .numpy()
    )
    masks = chosen.masks(mask_thr, size).cpu().numpy()
    scale = np.array([size[1] / image.shape[1], size[0] / image.shape[0]] * 2)
    boxes = chosen.original_bboxes().cpu().numpy() * scale
    colors = neighbor_colors(masks)
    rows = []
    for k, index in enumerate(instances):
        label = f"#{index} {class_names[int(chosen.labels[k])]} {float(chosen.scores[k]):.2f}"
        panels = [
            (label, draw_box(picture, boxes[k], colors[k])),
            ("spatial-aware P", colored_map(aware[k])),
            ("spatial-free P", colored_map(free[k])),
            ("P (product)", colored_map(product[k])),
            (f"P > {mask_thr:g}", draw_contour(picture, masks[k], colors[k])),
        ]
        rows.append(beside([titled(panel, name, tile) for name, panel in panels]))
    return page([*rows, color_key(rows[0].shape[1], mask_thr)], title)


def part_probabilities(inspected: InspectedImage) -> tuple[Tensor, Tensor]:
    """Probabilities by the spatial-aware and by the spatial-free channels alone.

    Their product is the probability by all channels (eq. 1 is an exponential of a sum). A part
    that the embedding does not have is 1 everywhere.

    Args:
        inspected: K detections.

    Returns:
        (K, h, w) each, at the pixel embedding's stride.
    """
    dim = inspected.spatial_aware_dim
    p, q, margin = (
        inspected.pixel_embedding,
        inspected.proposal_embedding,
        inspected.proposal_margin,
    )
    aware = squared_distance(p[:dim], q[:, :dim], margin[:, :dim])
    free = squared_distance(p[dim:], q[:, dim:], margin[:, dim:])
    return mask_probability(aware), mask_probability(free)


def draw_box(picture: Image, box: NDArray[np.float64], color: Color) -> Image:
    """The picture with a box (x1, y1, x2, y2) in its pixels."""
    canvas = picture.copy()
    x1, y1, x2, y2 = (round(float(side)) for side in box)
    cv2.rectangle(canvas, (x1, y1), (x2, y2), color, 2)
    return canvas


def draw_contour(picture: Image, mask: NDArray[np.bool_], color: Color) -> Image:
    """The picture with the border of a mask (H, W) of its size."""
    canvas = picture.copy()
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    for ink, thickness in (((0, 0, 0), CONTOUR + 2), (color, CONTOUR)):
        cv2.drawContours(canvas, contours, -1, ink, thickness)
    return canvas
