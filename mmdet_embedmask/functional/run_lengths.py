"""COCO's run-length codes from the pixels where masks change, without any full-size mask.

COCO runs go down the columns, one column after the other. The code of a mask is the list of the
positions at which it changes, counted that way.
"""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask


class RunLengths(TypedDict):
    """A mask as pycocotools and CocoMetric read it.

    Example:
        >>> RunLengths(size=[2, 3], counts=b"24")["size"]
        [2, 3]
    """

    size: list[int]
    counts: bytes


def encode_changes(
    instance: NDArray[np.int64],
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    num_instances: int,
    size: tuple[int, int],
) -> list[RunLengths]:
    """Run lengths of masks from their changes down the columns.

    Args:
        instance: (C,) of each change, in any order.
        row: (C,) of the first changed pixel; before row 0 and from row ``height`` on lies no mask.
        column: (C,).
        num_instances: K.
        size: (height, width) of the masks.

    Returns:
        K run-length codes, equal to those of `pycocotools.mask.encode`.

    Example:
        >>> first, none = np.array([0, 0]), np.array([1, 1])  # column 1 alone, of three rows
        >>> (code,) = encode_changes(first, np.array([0, 3]), none, 1, (3, 4))
        >>> coco_mask.decode(code)[0]
        array([0, 1, 0, 0], dtype=uint8)
    """
    height, width = size
    pixels = height * width
    keys = np.sort(instance * (pixels + 1) + column * height + row)
    # A mask that ends with one column and begins with the next changes twice at one position.
    keys = keys[_unpaired(keys)]
    ends = np.searchsorted(keys, np.arange(1, num_instances + 1) * (pixels + 1))
    positions = np.split(keys % (pixels + 1), ends[:-1]) if num_instances else []
    counts = [np.diff(_closed(p, pixels), prepend=0) for p in positions]
    if not counts:
        return []
    plain = [dict(size=[height, width], counts=count) for count in counts]
    codes: list[RunLengths] = coco_mask.frPyObjects(plain, height, width)
    return codes


def _unpaired(keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of sorted keys have no equal neighbour; none stands there more than twice."""
    different = np.ones(len(keys) + 1, dtype=bool)
    different[1:-1] = keys[1:] != keys[:-1]
    unpaired: NDArray[np.bool_] = different[1:] & different[:-1]
    return unpaired


def _closed(positions: NDArray[np.int64], pixels: int) -> NDArray[np.int64]:
    """The positions and, unless a mask ends there, the end of the image."""
    if len(positions) and positions[-1] == pixels:
        return positions
    return np.append(positions, pixels)
