"""What several tools share: how their parsers open, common arguments, and checks of them.

A check leaves with exit code 2 and an error that names the cause, before any work is done.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from mmengine.config import Config, DictAction

from .loading import is_embed_mask


def tool_parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser without arguments, whose help shows the tool's docstring line by line."""
    return argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_model(parser: argparse.ArgumentParser, side: str = "") -> None:
    """Add ``config`` and ``checkpoint``, with a suffix where there are several of them."""
    parser.add_argument(f"config{side}", type=Path)
    parser.add_argument(f"checkpoint{side}", type=Path)


def add_cfg_options(parser: argparse.ArgumentParser, help: str = "key=value ...") -> None:
    """Add ``--cfg-options``, changes of the config: a dict, or None."""
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help=help)


def add_score_thr(parser: argparse.ArgumentParser) -> None:
    """Add ``--score-thr``, the lowest score of detections; `check_score_thr` checks it."""
    parser.add_argument("--score-thr", type=float, default=0.3, help="lowest score (%(default)s)")


def add_device(
    parser: argparse.ArgumentParser,
    default: str | None = None,
    choices: Sequence[str] | None = None,
) -> None:
    """Add ``--device``, which refuses a GPU where there is none.

    Args:
        parser: of the tool.
        default: the device if the user does not say; None: the GPU where there is one.
        choices: all that the tool takes; None: whatever torch takes.
    """
    parser.add_argument(
        "--device",
        type=_present_device,
        choices=choices,
        default=default or ("cuda:0" if torch.cuda.is_available() else "cpu"),
        help="(%(default)s)",
    )


def _present_device(name: str) -> str:
    """The name as it is.

    Raises:
        argparse.ArgumentTypeError: for a GPU where there is none.
    """
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise argparse.ArgumentTypeError("torch finds no CUDA device here, take --device cpu")
    return name


def check_files(parser: argparse.ArgumentParser, paths: Iterable[Path | None]) -> None:
    """Leave with an error if one of the paths is no file; None stands for an absent argument."""
    for path in paths:
        if path is not None and not path.is_file():
            parser.error(f"{path} is not a file")


def check_output_folder(
    parser: argparse.ArgumentParser, path: Path | None, option: str = ""
) -> None:
    """Leave with an error if results cannot go into a folder of that name.

    Args:
        parser: of the tool; reports errors.
        path: of the folder; None: nothing is written.
        option: that gives it; empty for a positional argument.
    """
    if path is not None and path.exists() and not path.is_dir():
        named = f"{option} {path}".strip()
        parser.error(f"{named} is a file, but must be a folder to write into")


def check_counts(
    parser: argparse.ArgumentParser, args: argparse.Namespace, least: Mapping[str, int]
) -> None:
    """Leave with an error if a number is too low; None stands for an absent argument.

    Args:
        parser: of the tool; reports errors.
        args: what it read.
        least: the lowest value of each, by its name in ``args``.
    """
    for name, lowest in least.items():
        value = getattr(args, name)
        if value is not None and value < lowest:
            parser.error(f"--{name.replace('_', '-')} {value} must be at least {lowest}")


def check_size(parser: argparse.ArgumentParser, size: Iterable[int], least: int) -> None:
    """Leave with an error if a side that ``--size`` gives has fewer pixels than ``least``."""
    for value in size:
        if value < least:
            parser.error(f"--size {value}: height and width must be at least {least} pixels")


def check_score_thr(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Leave with an error if ``--score-thr`` is no probability."""
    if not 0 <= args.score_thr <= 1:
        parser.error(f"--score-thr {args.score_thr} must lie between 0 and 1")


def check_embed_mask(parser: argparse.ArgumentParser, config: Config) -> None:
    """Leave with an error if the config's model has no embeddings to look at."""
    if not is_embed_mask(config):
        parser.error(
            f"the config's model is {config.model.type}: this tool looks inside EmbedMask alone"
        )
