"""What a conversion says of itself."""

from collections.abc import Collection

from .name_table import counters, their_names
from .official import OfficialWeights


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
