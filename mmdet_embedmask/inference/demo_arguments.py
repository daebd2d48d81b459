"""What the demo tools have in common: arguments, their checks, and the model."""

import argparse
from pathlib import Path
from typing import get_args

from .. import cli
from ..loading import checkpoint_config, load_config
from .draw import Colors, Labels, Style
from .predictor import Segmentor, open_segmentor


def demo_parser(doc: str | None, *, colors: Colors) -> argparse.ArgumentParser:
    """A parser with the arguments that both tools take.

    Args:
        doc: the tool's docstring.
        colors: the default of ``--colors``.
    """
    parser = cli.tool_parser(doc)
    parser.add_argument("checkpoint", type=Path, help="trained weights")
    parser.add_argument("--config", type=Path, help="(the one that the checkpoint carries)")
    cli.add_cfg_options(parser)
    cli.add_score_thr(parser)
    cli.add_device(parser)
    look = parser.add_argument_group("how detections are drawn")
    look.add_argument(
        "--labels",
        choices=get_args(Labels),
        default="fitting",
        help="class and score where there is room, everywhere, or nowhere (%(default)s)",
    )
    look.add_argument(
        "--colors",
        choices=get_args(Colors),
        default=colors,
        help="instance: neighbours differ; class: the same in every picture (%(default)s)",
    )
    look.add_argument("--no-boxes", action="store_true", help="draw masks without boxes")
    return parser


def check_demo_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Leave with an error that names cause and cure, if the arguments cannot work.

    Args:
        parser: of `demo_parser`.
        args: what it read.
    """
    cli.check_files(parser, [args.checkpoint, args.config])
    cli.check_score_thr(parser, args)


def drawing_style(args: argparse.Namespace) -> Style:
    """How to draw, as the arguments say."""
    return Style(args.labels, args.colors, not args.no_boxes)


def load_segmentor(parser: argparse.ArgumentParser, args: argparse.Namespace) -> Segmentor:
    """The model that the arguments name; leaves with an error if it cannot be built.

    Args:
        parser: of `demo_parser`; reports errors.
        args: what it read.
    """
    try:
        if args.config is None:
            config = checkpoint_config(args.checkpoint, args.cfg_options)
        else:
            config = load_config(args.config, args.cfg_options)
        return open_segmentor(config, args.checkpoint, args.device)
    except (ValueError, RuntimeError) as error:
        hint = " (with --config)" if args.config is None else ""
        parser.error(f"{error}{hint}")
