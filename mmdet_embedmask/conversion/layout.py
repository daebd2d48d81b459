"""What the names of a network's weights depend on, counted in the names themselves."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

RESNET_STAGES = (1, 2, 3, 4)
"""Of a ResNet, as MMDetection numbers them."""

DEPTHS: dict[tuple[int, ...], int] = {(3, 4, 6, 3): 50, (3, 4, 23, 3): 101}
"""Depth of a ResNet by its bottleneck blocks, for the depths that were released."""


@dataclass(frozen=True)
class Layout:
    """Numbers of layers.

    Attributes:
        blocks: bottleneck blocks of each stage of the backbone.
        head_convs: convolutions of each tower of the proposal head.
        levels: of the pyramid; each has its scales.
        pixel_convs: convolutions with norm of the pixel tower.
        fused_levels: that the pixel head refines and sums; 0: it reads P3 alone.
        reduced: whether the proposal branch has 1x1 convolutions.
        semantic_convs: convolutions of the semantic branch; 0: there is none.
    """

    blocks: tuple[int, ...]
    head_convs: int
    levels: int
    pixel_convs: int
    fused_levels: int = 0
    reduced: bool = False
    semantic_convs: int = 0

    @property
    def depth(self) -> int | None:
        """Of the backbone; None if no network of that depth was released."""
        return DEPTHS.get(self.blocks)


def count_in(names: Collection[str], pattern: str) -> int:
    """Number of different indices that the pattern's group has in the names.

    Not the highest index: so one that is missing shows later as missing names.
    """
    return len({match[1] for name in names if (match := re.fullmatch(pattern, name))})


def our_layout(names: Collection[str]) -> Layout:
    """The layout of an EmbedMask of ours, from the names of its weights."""
    return Layout(
        blocks=tuple(
            count_in(names, rf"backbone\.layer{s}\.(\d+)\.conv1\.weight") for s in RESNET_STAGES
        ),
        head_convs=count_in(names, r"bbox_head\.cls_convs\.(\d+)\.conv\.weight"),
        levels=count_in(names, r"bbox_head\.scales\.(\d+)\.scale"),
        pixel_convs=count_in(names, r"mask_head\.tower\.convs\.(\d+)\.conv\.weight"),
        fused_levels=count_in(names, r"mask_head\.tower\.refine\.(\d+)\.conv\.weight"),
        reduced="bbox_head.proposal_branch.reduce_embedding.weight" in names,
        semantic_convs=count_in(names, r"mask_head\.semantic_branch\.convs\.(\d+)\.conv\.weight"),
    )


def resnet_layers(blocks: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    """Our names, below the backbone's, of every convolution and the norm that follows it."""
    yield "conv1", "bn1"
    for stage, number in zip(RESNET_STAGES, blocks, strict=True):
        for block in range(number):
            prefix = f"layer{stage}.{block}"
            for i in (1, 2, 3):
                yield f"{prefix}.conv{i}", f"{prefix}.bn{i}"
            if block == 0:
                yield f"{prefix}.downsample.0", f"{prefix}.downsample.1"
