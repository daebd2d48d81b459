"""What the demo tools have in common: arguments, their checks, and the model."""

import argparse
from pathlib import Path
from typing import get_args

import torch
from mmengine.config import DictAction

from ..loading import checkpoint_config, load_config
from .draw import Colors, Labels, Style
from .predictor import Segmentor, open_segmentor


def make_parser(doc: str | None, colors: Colors) -> argparse.ArgumentParser:
    """A parser with the arguments that both tools take.

    Args:
        doc: the tool's docstring.
        colors: what colours tell apart if the user does not say.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, help="trained weights")
    parser.add_argument("--config", type=Path, help="(the one that the checkpoint carries)")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="key=value ...")
    parser.add_argument("--score-thr", type=float, default=0.3, help="lowest score (%(default)s)")
    parser.add_argument(
        "--device", default="cuda:0" if torch.cuda.is_available() else "cpu", help="(%(default)s)"
    )
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


def check_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Leave with an error that names cause and cure, if the arguments cannot work.

    Args:
        parser: of `make_parser`.
        args: what it read.
    """
    for path in (args.checkpoint, args.config):
        if path is not None and not path.is_file():
            parser.error(f"{path} is not a file")
    if not 0 <= args.score_thr <= 1:
        parser.error(f"--score-thr {args.score_thr} must lie between 0 and 1")
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error(f"--device {args.device}: torch finds no GPU here, use --device cpu")


def drawing_style(args: argparse.Namespace) -> Style:
    """How to draw, as the arguments say."""
    return Style(args.labels, args.colors, not args.no_boxes)


def load_segmentor(parser: argparse.ArgumentParser, args: argparse.Namespace) -> Segmentor:
    """The model that the arguments name; leaves with an error if it cannot be built.

    Args:
        parser: of `make_parser`; reports errors.
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
