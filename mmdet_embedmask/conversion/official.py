"""Checkpoints of the authors' programs, recognised and converted in both directions.

Positions, priors and boxes are computed, not stored. The two sides differ in names, three reshapes
and the options below alone. `tests/conversion` holds that the outputs are equal.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from torch import Tensor

from .checks import check_our_names, check_their_names
from .errors import ConversionError
from .families import PLAIN, Family, identify, identify_ours
from .layout import Layout, our_layout
from .name_table import NameTable, counters, their_names, to_ours, to_theirs
from .plain_program import divide_embedding_weights, has_one_margin, repeat_margin


@dataclass(frozen=True)
class OfficialWeights:
    """Weights of the authors', recognised and complete.

    Attributes:
        family: whose they are.
        layout: of the network.
        weights: by their names, as our network needs them.
        notes: what was assumed or changed, as sentences.
    """

    family: Family
    layout: Layout
    weights: dict[str, Tensor]
    notes: tuple[str, ...] = ()

    @property
    def table(self) -> NameTable:
        """Which weights belong together."""
        return self.family.name_table(self.layout)

    @property
    def skipped(self) -> dict[str, Tensor]:
        """What holds no weight."""
        return {n: value for n, value in self.weights.items() if n in self.family.skipped}

    def state_dict(self) -> dict[str, Tensor]:
        """The weights by our names."""
        return to_ours(self.weights, self.table)


def recognize(weights: Mapping[str, Tensor], embed_reduce_factor: float = 1.0) -> OfficialWeights:
    """Find the family and the layers of weights of the authors'.

    Args:
        weights: by their names, without a prefix.
        embed_reduce_factor: EMBED_REDUCE_FACTOR of the plain program's configuration, by which it
            divides the towers before it predicts embeddings; its default is 1.

    Raises:
        ConversionError: if they are of no program that is known, or not complete.
    """
    family = identify(weights)
    layout = family.layout(weights)
    notes = []
    ready = dict(weights)
    if family is PLAIN:
        ready = divide_embedding_weights(ready, embed_reduce_factor)
        if embed_reduce_factor != 1:
            notes.append(f"weights of embeddings divided by {embed_reduce_factor:g}")
        if has_one_margin(ready):
            ready = repeat_margin(ready, layout.levels)
            notes.append(
                "one margin for all channels (an older release) repeated for each; its scales by "
                "level, 1 if it has none, are assumed to apply to the spatial-aware channels alone"
            )
    elif embed_reduce_factor != 1:
        raise ConversionError(
            f"--embed-reduce-factor {embed_reduce_factor:g} belongs to the plain program and "
            f"this is a {family.name} checkpoint: leave it out"
        )
    check_their_names(ready, family.name_table(layout), family)
    return OfficialWeights(family, layout, ready, tuple(notes))


def to_official(state_dict: Mapping[str, Tensor]) -> OfficialWeights:
    """Our weights by the names of the program that is closest.

    Embeddings are those of EMBED_REDUCE_FACTOR 1, the plain program's default.

    Args:
        state_dict: of an EmbedMask.

    Raises:
        ConversionError: if that program has no such network.
    """
    family = identify_ours(state_dict)
    layout = our_layout(state_dict)
    table = family.name_table(layout)
    check_our_names(state_dict, table, family, "the checkpoint")
    return OfficialWeights(family, layout, to_theirs(state_dict, table))


def conversion_report(official: OfficialWeights, ours: Collection[str]) -> list[str]:
    """Family, depth, and what became of every tensor of both sides, as lines.

    Args:
        official: recognised weights, or those that were made of ours.
        ours: names of our weights.
    """
    table, layout = official.table, official.layout
    counted = counters(table)
    known = {*their_names(table), *counted.values()}
    converted = sum(name in known for name in official.weights)
    weights = len(official.weights) - len(official.skipped)
    lacking = sum(name not in official.weights for name in counted.values())
    covered = sum(name in table or name in counted for name in ours)
    variant = ", with 1x1 convolutions in the proposal head" if layout.reduced else ""
    lines = [
        f"family: {official.family.name}{variant}",
        f"depth: {layout.depth or layout.blocks}",
        f"theirs: {len(official.weights)} tensors, {converted} of them ours "
        f"({100 * converted / weights:.1f} % of those that hold weights)",
        f"ours: {len(ours)} tensors, {covered - lacking} of them theirs, {lacking} counters of "
        f"batches that theirs lacks ({100 * covered / len(ours):.1f} %)",
    ]
    lines += [f"skipped: {', '.join(official.skipped)}"] if official.skipped else []
    return lines + [f"note: {note}" for note in official.notes]
