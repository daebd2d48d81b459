"""One generated picture: shapes painted over each other, and which pixels of each can be seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .shape_drawing import SHAPE_CLASSES, Mask, ShapeClass, background_fill, draw_shape, object_fill

MIN_SIDE = 32
"""Smallest image height and width in pixels."""

MIN_VISIBLE_FRACTION = 0.35
"""Later objects leave at least this part of every earlier one visible."""

MIN_VISIBLE_PIXELS = 30
"""They also leave this many of its pixels visible, so that what can be seen is annotated."""

NEIGHBOUR_PROBABILITY = 0.6
"""How often an object is put beside an earlier one, where it is likely to overlap it."""

BORDER = 0.08
"""Objects are cut by the image's border, but their middles keep this part of a side from it."""

PLACEMENT_TRIES = 20
"""After so many places that would hide too much, the object is left out."""

OBJECT_HUE_STEP = 0.618034
"""The golden ratio: such steps keep the hues of one image's objects apart, however many."""

PIXEL_NOISE = 4.0
"""Standard deviation of the noise on every pixel, of 255."""

CROWD_LABEL = 0
"""Crowds are of the first class; what evaluation does with them is the same for all."""

NO_OBJECT = -1
"""Owner of a pixel that shows no object."""


@dataclass(frozen=True)
class ShapesConfig:
    """What to generate.

    Args:
        num_images: number of images.
        height: of every image in pixels.
        width: of every image in pixels.
        objects: fewest and most objects an image that is not empty.
        sizes: smallest and largest extent of an object, as a part of the image's shorter side.
        classes: which of ``SHAPE_CLASSES``, in the order of their labels.
        empty_fraction: probability that an image shows no object.
        crowd_fraction: probability that an image also shows a crowd (an ``iscrowd`` annotation).
        seed: any whole number >= 0.

    Raises:
        ValueError: if a value makes no sense.
    """

    num_images: int
    height: int = 160
    width: int = 160
    objects: tuple[int, int] = (2, 6)
    sizes: tuple[float, float] = (0.15, 0.55)
    classes: tuple[ShapeClass, ...] = SHAPE_CLASSES
    empty_fraction: float = 0.05
    crowd_fraction: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_images < 1:
            raise ValueError(f"num_images={self.num_images} must be at least 1")
        if min(self.height, self.width) < MIN_SIDE:
            raise ValueError(
                f"images of {self.height} x {self.width} pixels are too small for shapes: use a "
                f"height and width of at least {MIN_SIDE}"
            )
        if not 1 <= self.objects[0] <= self.objects[1]:
            raise ValueError(
                f"objects={self.objects} must be (fewest, most) with 1 <= fewest <= most; empty "
                "images are asked for with empty_fraction"
            )
        if not 0 < self.sizes[0] <= self.sizes[1] <= 1:
            raise ValueError(f"sizes={self.sizes} must be (smallest, largest), 0 < both <= 1")
        if not self.classes or len({*self.classes} & {*SHAPE_CLASSES}) < len(self.classes):
            raise ValueError(f"classes={self.classes} must be different ones of {SHAPE_CLASSES}")
        fractions = self.empty_fraction, self.crowd_fraction
        if min(fractions) < 0 or sum(fractions) > 1:
            raise ValueError(
                f"empty_fraction={self.empty_fraction} and crowd_fraction={self.crowd_fraction} "
                "must not be negative, and their sum not greater than 1"
            )
        if self.seed < 0:
            raise ValueError(f"seed={self.seed} must be 0 or greater")


@dataclass(frozen=True)
class ShapeInstance:
    """One annotated object.

    Args:
        label: index into the config's classes.
        mask: (H, W), its visible pixels.
        full_area: number of its pixels in the image, covered ones included.
        is_crowd: whether it is a crowd rather than one object.
    """

    label: int
    mask: Mask
    full_area: int
    is_crowd: bool = False


def render_image(
    rng: np.random.Generator, config: ShapesConfig
) -> tuple[NDArray[np.uint8], list[ShapeInstance]]:
    """Generate one image, later objects painted over earlier ones.

    Args:
        rng: source of everything random; ``config.seed`` and ``config.num_images`` are not used.
        config: what to generate.

    Returns:
        The image, (height, width, 3) in blue, green, red, and its objects from back to front.
    """
    canvas = config.height, config.width
    image = background_fill(rng, canvas)
    owner = np.full(canvas, NO_OBJECT)
    shapes: list[tuple[int, Mask, bool]] = []  # label, whole mask, is it a crowd
    kind = rng.random()
    if kind >= config.empty_fraction:
        if kind < config.empty_fraction + config.crowd_fraction:
            shapes.append((CROWD_LABEL, _draw_crowd(rng, config), True))
            owner[shapes[0][1]] = 0
        wanted = int(rng.integers(config.objects[0], config.objects[1] + 1))
        for label in rng.integers(len(config.classes), size=wanted).tolist():
            earlier = [mask for _, mask, _ in shapes]
            mask = _place(rng, config, label, owner=owner, earlier=earlier)
            if mask is not None:
                owner[mask] = len(shapes)
                shapes.append((label, mask, False))
    hue = rng.random()
    for index in range(len(shapes)):
        visible = owner == index
        image[visible] = object_fill(rng, (hue + index * OBJECT_HUE_STEP) % 1, canvas)[visible]
    image = image + rng.normal(0, PIXEL_NOISE, image.shape)
    instances = [
        ShapeInstance(label, owner == index, int(mask.sum()), is_crowd)
        for index, (label, mask, is_crowd) in enumerate(shapes)
    ]
    return np.clip(np.round(image), 0, 255).astype(np.uint8), instances


def _draw_crowd(rng: np.random.Generator, config: ShapesConfig) -> Mask:
    """A cluster of dots that are too small and too many to be annotated one by one."""
    canvas = config.height, config.width
    side = min(canvas)
    middle = rng.uniform(0.25, 0.75, 2) * (config.width, config.height)
    mask = np.zeros(canvas, bool)
    for _ in range(int(rng.integers(15, 40))):
        center = rng.normal(middle, 0.1 * side)
        size = max(3.0, side * rng.uniform(0.025, 0.05))
        mask |= draw_shape(rng, "ellipse", center=center, size=size, canvas=canvas)
    return mask


def _place(
    rng: np.random.Generator,
    config: ShapesConfig,
    label: int,
    *,
    owner: NDArray[np.int_],
    earlier: list[Mask],
) -> Mask | None:
    """Find a form and a place for an object that leaves enough of the earlier ones visible."""
    canvas = config.height, config.width
    for _ in range(PLACEMENT_TRIES):
        size = min(canvas) * rng.uniform(*config.sizes)
        extent = np.array([config.width, config.height])
        center = rng.uniform(BORDER, 1 - BORDER, 2) * extent
        if earlier and rng.random() < NEIGHBOUR_PROBABILITY:
            ys, xs = np.nonzero(earlier[int(rng.integers(len(earlier)))])
            beside = rng.normal((xs.mean(), ys.mean()), size / 2)
            center = np.clip(beside, BORDER * extent, (1 - BORDER) * extent)
        mask = draw_shape(rng, config.classes[label], center=center, size=size, canvas=canvas)
        covered = np.where(mask, len(earlier), owner)
        whole = [*earlier, mask]
        visible = np.bincount(covered[covered != NO_OBJECT], minlength=len(whole))
        least = [max(MIN_VISIBLE_PIXELS, MIN_VISIBLE_FRACTION * int(m.sum())) for m in whole]
        if (visible >= least).all():
            return mask
    return None
