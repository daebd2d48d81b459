"""The two programs that the authors released, and how their checkpoints are told from others."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from .errors import ConversionError, listed
from .fused_program import SKIPPED, fused_layout, fused_name_table
from .layout import Layout
from .name_table import NameTable
from .plain_program import plain_layout, plain_name_table


@dataclass(frozen=True, kw_only=True)
class Family:
    """One of the released programs.

    Attributes:
        name: 'plain' or 'fused', after its pixel tower; the paper's Table 1 or Table 2.
        prefixes: a file is of this family if it has names that begin with each of them.
        layout: counts the layers of a file.
        name_table: which weights belong together.
        skipped: names that hold no weight.
    """

    name: Literal["plain", "fused"]
    prefixes: tuple[str, ...]
    layout: Callable[[Collection[str]], Layout]
    name_table: Callable[[Layout], NameTable]
    skipped: tuple[str, ...] = ()


PLAIN = Family(
    name="plain",
    prefixes=("rpn.head.proposal_", "rpn.head.pixel_"),
    layout=plain_layout,
    name_table=plain_name_table,
)
FUSED = Family(
    name="fused",
    prefixes=("proposal_generator.fcos_head.", "proposal_head.", "mask_branch.", "pixel_head."),
    layout=fused_layout,
    name_table=fused_name_table,
    skipped=SKIPPED,
)

OURS = ("bbox_head.", "mask_head.embedding_prediction.")
"""Prefixes that only an EmbedMask of this package has together."""

OTHERS = (
    ("bbox_head.", "another detector of MMDetection"),
    ("rpn.head.", "another detector of the maskrcnn-benchmark family, such as FCOS"),
    (
        "proposal_generator.",
        "another detector of the detectron2 family, such as FCOS, CondInst or BlendMask",
    ),
    ("backbone.bottom_up.", "another detector of the detectron2 family"),
    ("layer1.0.", "a ResNet without heads"),
)
"""What other files are, by the prefix of a name that they have."""


def _has_all(names: Collection[str], prefixes: tuple[str, ...]) -> bool:
    return all(any(name.startswith(prefix) for name in names) for prefix in prefixes)


def identify(names: Collection[str]) -> Family:
    """The family whose names these are.

    Raises:
        ConversionError: if they are of no checkpoint that the authors' programs write.
    """
    for family in (PLAIN, FUSED):
        if _has_all(names, family.prefixes):
            return family
    if _has_all(names, OURS):
        raise ConversionError(
            "this is an EmbedMask of this package already: use it as it is, or convert it to the "
            "authors' names with mmdet_to_official.py"
        )
    kinds = [kind for prefix, kind in OTHERS if _has_all(names, (prefix,))]
    what = kinds[0] if kinds else "no detector that is known here"
    raise ConversionError(
        f"this is {what}, not an EmbedMask: names of the plain program start with "
        f"{' and '.join(PLAIN.prefixes)}, of the fused program with "
        f"{', '.join(FUSED.prefixes)}. It has: {listed(sorted(names))}. Give a checkpoint of one "
        "of these programs"
    )


def identify_ours(names: Collection[str]) -> Family:
    """The family that weights of ours can be written as.

    Raises:
        ConversionError: if they are not an EmbedMask's.
    """
    if not _has_all(names, OURS):
        raise ConversionError(
            f"this is not an EmbedMask of this package; it has: {listed(sorted(names))}. Give a "
            "checkpoint that tools/train.py or official_to_mmdet.py wrote"
        )
    fused = any(name.startswith("mask_head.tower.refine.") for name in names)
    return FUSED if fused else PLAIN
