"""Detection with an exported file: numpy, OpenCV and onnxruntime alone.

Nothing here comes from the rest of the package, so that the file can be copied to where there is
no torch. Shapes: H0, W0: size of the image; H, W: of the network input; K: detections; h, w: of
the probability maps.
"""

import json
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray


def detect(
    session: Any, image: NDArray[np.uint8], input_size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    """Detect objects and their masks.

    Args:
        session: an ``onnxruntime.InferenceSession`` of the file.
        image: (H0, W0, 3) in blue, green, red, as OpenCV reads it.
        input_size: (H, W) that the image is resized to; the file's metadata ``resize`` holds what
            the model's test pipeline does.

    Returns:
        Boxes (K, 4) in pixels of the image, scores (K,), labels (K,), masks (K, H0, W0).
    """
    size, (height, width) = image.shape[:2], input_size
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    names = ["bboxes", "scores", "labels", "probabilities"]
    bboxes, scores, labels, probabilities = session.run(names, {"image": resized})
    metadata = session.get_modelmeta().custom_metadata_map
    mask_thr, resize, stride, inclusive = (
        json.loads(metadata[key])
        for key in ("mask_thr", "mask_resize", "mask_stride", "inclusive_boxes")
    )
    masks = masks_from_probabilities(
        probabilities, input_size, size, mask_thr=mask_thr, mask_resize=resize, mask_stride=stride
    )
    scale = np.array([size[1] / width, size[0] / height] * 2, np.float32)
    # Inclusive boxes end with the image's last pixel, and not behind it.
    end = np.array([0, 0, inclusive, inclusive], np.float32)
    return bboxes * scale + end, scores, labels, masks


def masks_from_probabilities(
    probabilities: NDArray[np.float32],
    input_size: tuple[int, int],
    size: tuple[int, int],
    *,
    mask_thr: float,
    mask_resize: Literal["bilinear", "aligned"] = "bilinear",
    mask_stride: int = 4,
) -> NDArray[np.bool_]:
    """Masks of the original image's size (paper section 3.5).

    Args:
        probabilities: (K, h, w) of the padded network input.
        input_size: (H, W) of the image inside the padding.
        size: (H0, W0).
        mask_thr: a pixel belongs to the mask if its probability is greater.
        mask_resize: how the network input is reached: a cell's value lies at its middle
            ('bilinear') or half a pixel further ('aligned').
        mask_stride: pixels of the network input to a cell.

    Returns:
        (K, H0, W0).
    """
    xs, ys = (np.arange(n, dtype=np.float32) for n in (input_size[1], input_size[0]))
    shift = mask_stride / 2 if mask_resize == "aligned" else (mask_stride - 1) / 2
    # The way to the network input, without the padding.
    grid = np.meshgrid((xs - shift) / mask_stride, (ys - shift) / mask_stride)
    masks = np.zeros((len(probabilities), *size), dtype=bool)
    for mask, cells in zip(masks, probabilities, strict=True):
        inside = cv2.remap(cells, *grid, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mask[:] = cv2.resize(inside, size[::-1], interpolation=cv2.INTER_LINEAR) > mask_thr
    return masks
