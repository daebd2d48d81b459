"""COCO's run-length codes: from masks, from the pixels where they change, and back.

COCO runs go down the columns, one column after the other. The code of a mask is the list of the
positions at which it changes, counted that way.
"""

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

MAX_NUMBER_LENGTH = 7
"""Most characters of a number in compressed run lengths: of 5 bits each, for 32 and a sign."""


class RunLengths(TypedDict):
    """A mask as pycocotools and CocoMetric read it; counts are text where JSON must hold it.

    Example:
        >>> RunLengths(size=[2, 3], counts=b"24")["size"]
        [2, 3]
    """

    size: list[int]
    counts: bytes | str


def encode_changes(
    instance: NDArray[np.int64],
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    *,
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
        >>> row, column = np.array([0, 3]), np.array([1, 1])  # column 1, from row 0 up to row 3
        >>> (code,) = encode_changes(np.zeros(2, int), row, column, num_instances=1, size=(3, 4))
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


def encode_mask(mask: NDArray[Any]) -> RunLengths:
    """Run lengths of a mask (H, W) of any type, counts as bytes.

    Example:
        >>> encode_mask(np.array([[0, 1], [0, 1]]))["counts"]
        b'22'
    """
    code: RunLengths = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return code


def encode_masks(masks: torch.Tensor | NDArray[Any] | Sequence[Any]) -> list[RunLengths]:
    """Masks as run lengths with text counts.

    Args:
        masks: (K, H, W) of any type, or K run lengths of pycocotools.

    Example:
        >>> encode_masks(torch.tensor([[[0, 1], [0, 1]]]))
        [{'size': [2, 2], 'counts': '22'}]
    """
    if isinstance(masks, torch.Tensor):
        masks = masks.cpu().numpy()
    # One by one: a copy of all of them in COCO's order would double the memory.
    codes = (encode_mask(mask) if isinstance(mask, np.ndarray) else mask for mask in masks)
    return [
        RunLengths(size=[int(side) for side in code["size"]], counts=_text(code["counts"]))
        for code in codes
    ]


def _text(counts: bytes | str) -> str:
    return counts.decode("ascii") if isinstance(counts, bytes) else counts


def decode_mask(mask: Any, size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask in any of COCO's forms as an array.

    Args:
        mask: polygons, run lengths (plain or compressed) or an array.
        size: (height, width), which polygons do not know.

    Returns:
        (height, width).

    Example:
        >>> decode_mask(dict(size=[2, 2], counts=[2, 2]), (2, 2))
        array([[False,  True], [False,  True]])
    """
    if isinstance(mask, np.ndarray):
        return mask.astype(bool)
    if isinstance(mask, list):
        mask = coco_mask.merge(coco_mask.frPyObjects(mask, *size))
    elif isinstance(mask["counts"], list):
        mask = coco_mask.frPyObjects(mask, *size)
    decoded: NDArray[np.bool_] = coco_mask.decode(mask).view(bool)  # no copy
    return decoded


def decode_counts(text: str) -> NDArray[np.int64]:
    """Run lengths of COCO's compressed text, checked as pycocotools does not.

    A number is written in base 32, lowest digit first; bit 5 of a character says that more follow,
    bit 4 of the last one is the sign. From the fourth on, numbers are differences from the one two
    before.

    Args:
        text: ``counts`` of a compressed RLE.

    Returns:
        (R,) run lengths, which may be negative if the text is wrong.

    Raises:
        ValueError: if it is no such text.

    Example:
        >>> decode_counts("22")
        array([2, 2])
    """
    codes = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8).astype(np.int64) - 48
    last = (codes & 0x20) == 0
    ends = np.flatnonzero(last) + 1
    digits = np.diff(ends, prepend=0)
    valid = len(codes) and codes.min() >= 0 and codes.max() < 64 and last[-1]
    if not valid or digits.max() > MAX_NUMBER_LENGTH:
        raise ValueError("the 'counts' of an RLE mask are not COCO's compressed run lengths")
    starts = ends - digits
    place = np.arange(len(codes)) - np.repeat(starts, digits)
    values = np.add.reduceat((codes & 0x1F) << (5 * place), starts)
    values -= np.where(codes[ends - 1] & 0x10, np.left_shift(1, 5 * digits), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values
