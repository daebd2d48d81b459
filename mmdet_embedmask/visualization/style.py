"""Sizes and colours that all pictures share."""

import numpy as np
from numpy.typing import NDArray

GAP = 8
"""Pixels between pictures and around the sheet."""

HEADER_HEIGHT = 32
"""Pixels of the line with the column titles."""

MIN_TILE = 160
"""Smallest picture side in pixels that still has room for a label."""

PAPER = 255

OPACITY = 0.45
"""Of a mask over the image; its outline is solid."""

OUTLINE = 2
"""Thickness in pixels of a mask's outline, which lies inside the mask."""

Image = NDArray[np.uint8]
Color = tuple[int, int, int]
"""(blue, green, red)."""
