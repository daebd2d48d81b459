"""What a generated shape looks like: its outline, which is its class, and its fill, which is not.

Pictures are (H, W, 3) float32, 0 to 255, in OpenCV's blue, green, red; masks are (H, W) bool.
"""

import colorsys
import math
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from ..options import check_option

Mask = NDArray[np.bool_]
FloatArray = NDArray[np.floating[Any]]

ShapeClass = Literal["ellipse", "polygon", "ring", "bar"]
SHAPE_CLASSES = get_args(ShapeClass)
"""Category names in the order of their labels: label = index, category id = index + 1."""

MIN_BAR_THICKNESS = 4
"""In pixels: one sample of a mask that is learned at stride 4."""


def draw_shape(
    rng: np.random.Generator,
    name: ShapeClass,
    *,
    center: FloatArray,
    size: float,
    canvas: tuple[int, int],
) -> Mask:
    """Draw one shape of random form and direction.

    Args:
        rng: source of the form.
        name: one of ``SHAPE_CLASSES``.
        center: (2,) as x, y in pixels.
        size: about its longest extent in pixels.
        canvas: (height, width); what lies outside is cut off.

    Returns:
        (height, width) mask.

    Raises:
        ValueError: if the class is unknown.
    """
    check_option("shape", name, SHAPE_CLASSES)
    mask = np.zeros(canvas, np.uint8)
    if name == "ellipse":
        _fill(mask, _ellipse(rng, size), center, 1)
    elif name == "polygon":
        _fill(mask, _polygon(rng, size), center, 1)
    elif name == "ring":
        outer = _ellipse(rng, size) if rng.random() < 0.5 else _round_polygon(rng, size)
        _fill(mask, outer, center, 1)
        # Every outline can be seen whole from its middle, so a smaller copy lies inside it.
        _fill(mask, outer * rng.uniform(0.42, 0.58), center, 0)
    else:
        points = _rounded(_bar(rng, size), center)
        thickness = max(MIN_BAR_THICKNESS, round(size * rng.uniform(0.12, 0.18)))
        cv2.polylines(mask, [points], isClosed=False, color=1, thickness=thickness)
    return mask.astype(bool)


def _ellipse(rng: np.random.Generator, size: float) -> FloatArray:
    angles = np.linspace(0, 2 * math.pi, 64, endpoint=False)
    half_axes = size / 2 * np.array([1.0, rng.uniform(0.6, 1.0)])
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * half_axes
    return points @ _rotation(rng.uniform(0, math.pi))


def _polygon(rng: np.random.Generator, size: float) -> FloatArray:
    return _corners(rng, size, int(rng.integers(3, 8)), least_radius=0.5, shift=0.3)


def _round_polygon(rng: np.random.Generator, size: float) -> FloatArray:
    """A polygon with no side so close to its middle that a ring would break there."""
    return _corners(rng, size, int(rng.integers(4, 8)), least_radius=0.75, shift=0.1)


def _corners(
    rng: np.random.Generator, size: float, number: int, *, least_radius: float, shift: float
) -> FloatArray:
    """Corners around the middle, each moved by up to ``shift`` of the step between them."""
    angles = (np.arange(number) + rng.uniform(-shift, shift, number)) * 2 * math.pi / number
    radii = size / 2 * rng.uniform(least_radius, 1.0, number)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
    corners: FloatArray = points @ _rotation(rng.uniform(0, 2 * math.pi))
    return corners


def _bar(rng: np.random.Generator, size: float) -> FloatArray:
    """Middle line of a bar: straight, or bent in the middle."""
    bend = rng.uniform(0.5, 1.6) if rng.random() < 0.4 else 0.0
    arms = np.array([math.pi - bend / 2, bend / 2])
    ends = size / 2 * np.stack([np.cos(arms), np.sin(arms)], axis=1)
    line = np.stack([ends[0], np.zeros(2), ends[1]])
    middle: FloatArray = (line - line.mean(axis=0)) @ _rotation(rng.uniform(0, 2 * math.pi))
    return middle


def _rotation(angle: float) -> FloatArray:
    return np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


def _rounded(points: FloatArray, center: FloatArray) -> NDArray[np.int32]:
    return np.round(points + center).astype(np.int32)


def _fill(mask: NDArray[np.uint8], points: FloatArray, center: FloatArray, value: int) -> None:
    cv2.fillPoly(mask, [_rounded(points, center)], value)


def object_fill(rng: np.random.Generator, hue: float, canvas: tuple[int, int]) -> FloatArray:
    """A vivid texture of one hue (0 to 1), which says nothing about the class."""
    saturation, value = rng.uniform(0.55, 1.0), rng.uniform(0.6, 1.0)
    return _texture(rng, canvas, hue=hue, saturation=saturation, value=value)


def background_fill(rng: np.random.Generator, canvas: tuple[int, int]) -> FloatArray:
    """A greyish texture, darker than most objects."""
    hue, saturation, value = rng.random(), rng.uniform(0.0, 0.3), rng.uniform(0.2, 0.65)
    return _texture(rng, canvas, hue=hue, saturation=saturation, value=value)


def _texture(
    rng: np.random.Generator,
    canvas: tuple[int, int],
    *,
    hue: float,
    saturation: float,
    value: float,
) -> FloatArray:
    """Two tones of one colour, mixed by a random pattern."""
    light, dark = (
        255 * np.array(colorsys.hsv_to_rgb(hue, saturation, v)[::-1], np.float32)
        for v in (value, value * rng.uniform(0.55, 0.85))
    )
    return light + (dark - light) * _pattern(rng, canvas)[:, :, None]


def _pattern(rng: np.random.Generator, canvas: tuple[int, int]) -> FloatArray:
    """(height, width) between 0 and 1: plain, stripes, checks, clouds or a gradient."""
    height, width = canvas
    kind = rng.choice(["plain", "stripes", "checks", "clouds", "gradient"])
    if kind == "plain":
        return np.zeros(canvas, np.float32)
    if kind == "clouds":
        coarse = rng.random((max(2, height // 8), max(2, width // 8)), dtype=np.float32)
        clouds = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
        return clouds.astype(np.float32, copy=False)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = rng.uniform(0, math.pi)
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    if kind == "gradient":
        gradient: FloatArray = (along - along.min()) / np.ptp(along)
        return gradient.astype(np.float32)
    cell = rng.uniform(4, 10)
    squares = along // cell + (across // cell if kind == "checks" else 0)
    pattern: FloatArray = (squares % 2).astype(np.float32)
    return pattern
