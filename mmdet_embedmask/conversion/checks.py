"""Whether the weights of one side are all there, known, and of the right shapes."""

from collections.abc import Collection, Mapping

from torch import Tensor

from .errors import ConversionError, listed
from .families import Family, identify_ours
from .layout import our_layout
from .name_table import NameTable, counters, their_names, to_theirs


def check_their_names(names: Collection[str], table: NameTable, family: Family) -> None:
    """Check that a file of theirs has the table's names and no others.

    Raises:
        ConversionError: naming those that are missing or unknown.
    """
    wanted = their_names(table)
    known = {*wanted, *counters(table).values(), *family.skipped}
    _check(
        f"the checkpoint, a {family.name} one by its other names,",
        missing=[name for name in wanted if name not in names],
        unknown=[name for name in names if name not in known],
        cure="It is damaged, or of a program that was changed: only the released one is known",
    )


def check_our_names(names: Collection[str], table: NameTable, family: Family, what: str) -> None:
    """Check that a network of ours has the table's names and no others.

    Args:
        names: of our weights.
        table: of the family.
        family: that the network is closest to.
        what: where the names come from, for the message.

    Raises:
        ConversionError: naming those that are missing or unknown.
    """
    known = {*table, *counters(table)}
    _check(
        what,
        missing=[name for name in table if name not in names],
        unknown=[name for name in names if name not in known],
        cure=f"The authors' {family.name} program has no such options: only a network whose config "
        "sets what it sets can be converted",
    )


def _check(what: str, missing: list[str], unknown: list[str], cure: str) -> None:
    parts = [f"lacks {listed(missing)}"] if missing else []
    parts += [f"has unknown {listed(unknown)}"] if unknown else []
    if parts:
        raise ConversionError(f"{what} {' and '.join(parts)}. {cure}")


def check_fits(
    theirs: Mapping[str, Tensor], family: Family, model: Mapping[str, Tensor], config: str
) -> None:
    """Check that the config's network takes exactly these weights.

    Args:
        theirs: weights by their names.
        family: theirs.
        model: state of the config's network; only names and shapes are read.
        config: its name, for messages.

    Raises:
        ConversionError: naming what does not fit.
    """
    if (ours := identify_ours(model)) is not family:
        raise ConversionError(
            f"the checkpoint is a {family.name} one and {config} a {ours.name} network: leave "
            "--config out, or give one that is derived from the default"
        )
    table = family.name_table(our_layout(model))
    check_our_names(model, table, family, f"the network of {config}")
    (classes_name,) = table["bbox_head.conv_cls.weight"]
    expected = to_theirs(model, table)
    _check_num_classes(theirs, expected, classes_name, config)
    names = [name for name in theirs if name not in family.skipped]
    optional = set(counters(table).values())
    _check(
        f"the checkpoint, compared with {config},",
        missing=[name for name in expected if name not in theirs and name not in optional],
        unknown=[name for name in names if name not in expected and name not in optional],
        cure="Give with --config a network that has the checkpoint's layers",
    )
    wrong = [
        f"{name} is {tuple(theirs[name].shape)} and must be {tuple(value.shape)}"
        for name, value in expected.items()
        if name in theirs and theirs[name].shape != value.shape
    ]
    wrong += [
        f"{name} holds {theirs[name].dtype} and must hold floating point"
        for name in their_names(table)
        if not theirs[name].is_floating_point()
    ]
    if wrong:
        raise ConversionError(
            f"the checkpoint does not fit {config}: {listed(wrong)}. Give with --config a network "
            "of the checkpoint's sizes"
        )


def _check_num_classes(
    theirs: Mapping[str, Tensor], expected: Mapping[str, Tensor], name: str, config: str
) -> None:
    """Checked first, because the number of classes changes other shapes too."""
    if name in theirs and len(theirs[name]) != len(expected[name]):
        found, wanted = len(theirs[name]), len(expected[name])
        raise ConversionError(
            f"the checkpoint predicts {found} classes and the network of {config} {wanted}: give "
            f"with --config one with model.bbox_head.num_classes={found} (and the same in a "
            "semantic branch) whose data set names these classes in metainfo"
        )
