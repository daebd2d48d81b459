"""What the tools that draw have in common: arguments, their checks, and progress."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from tqdm import tqdm

from .. import cli
from ..inputs.images import ImageSource, open_images, spread_indices
from ..loading import build_detector, load_config
from .style import MIN_TILE


def drawing_parser(doc: str | None, *, num: int | None, tile: int) -> argparse.ArgumentParser:
    """A parser with the arguments that all tools that draw images take.

    Args:
        doc: the tool's docstring.
        num: images to draw if the user does not say; None: all.
        tile: pixels of a panel if the user does not say.
    """
    parser = cli.tool_parser(doc)
    which = parser.add_argument_group("images (default: the config's test data set)")
    which.add_argument("--images", type=Path, help="a folder of images, or one image")
    which.add_argument("--coco", type=Path, help="an annotation file in COCO's format")
    which.add_argument("--image-root", type=Path, help="the folder of its images")
    shown = "all" if num is None else num
    which.add_argument("--num", type=int, default=num, help=f"spread over the set ({shown})")
    cli.add_score_thr(parser)
    parser.add_argument("--tile", type=int, default=tile, help="pixels of a panel (%(default)s)")
    cli.add_device(parser)
    cli.add_cfg_options(parser)
    return parser


def check_drawing_arguments(
    parser: argparse.ArgumentParser, args: argparse.Namespace, files: Sequence[Path]
) -> None:
    """Leave with an error that names cause and cure, if the arguments cannot work.

    Args:
        parser: of `drawing_parser`.
        args: what it read, with the output folder as ``out``.
        files: configs and checkpoints.
    """
    cli.check_files(parser, [*files, args.coco])
    if args.images and args.coco:
        parser.error("--images and --coco both say which images to read: give one of them")
    if args.coco and not args.image_root:
        parser.error("--coco needs --image-root: the folder that its file names start from")
    if args.image_root and not args.coco:
        parser.error("--image-root belongs to --coco; a folder of images is given by --images")
    if args.image_root and not args.image_root.is_dir():
        parser.error(f"--image-root {args.image_root} is not a folder")
    cli.check_counts(parser, args, dict(num=1, tile=MIN_TILE))
    cli.check_score_thr(parser, args)
    cli.check_output_folder(parser, args.out)


def open_source(
    parser: argparse.ArgumentParser, args: argparse.Namespace, config: Config, *, annotated: bool
) -> tuple[ImageSource, list[int]]:
    """Open the images and choose those to draw; leaves with an error if that cannot work.

    Args:
        parser: reports errors.
        args: of `drawing_parser`.
        config: gives pipeline, class names and default data.
        annotated: whether ground truth is needed.
    """
    if annotated and args.images:
        parser.error("--images has no ground truth to compare with: use --coco and --image-root")
    try:
        source = open_images(config, images=args.images, coco=args.coco, image_root=args.image_root)
        indices = spread_indices(len(source), args.num or len(source))
        source.check(indices)
    except ValueError as error:
        parser.error(str(error))
    infos = (source.get_data_info(index) for index in indices)
    compared = (i for info in infos for i in info["instances"] if not i.get("ignore_flag"))
    if annotated and not any(compared):
        parser.error("none of the images has an annotated instance, crowds apart, to compare with")
    return source, indices


def open_embed_mask(
    parser: argparse.ArgumentParser, args: argparse.Namespace
) -> tuple[Any, ImageSource, list[int]]:
    """Check everything, then load an EmbedMask and open the images to look into, annotated or not.

    Args:
        parser: of `drawing_parser`, with the model of `cli.add_model`; reports errors.
        args: what it read, with the output folder as ``out``.

    Returns:
        The model, the images, and which of them to draw.
    """
    check_drawing_arguments(parser, args, [args.config, args.checkpoint])
    config = load_config(args.config, args.cfg_options)
    cli.check_embed_mask(parser, config)
    source, indices = open_source(parser, args, config, annotated=False)
    return build_detector(config, args.checkpoint, args.device), source, indices


def progress(indices: Sequence[int]) -> Iterator[int]:
    """Yield the indices, with a progress bar on stderr."""
    yield from tqdm(indices, unit="image", file=sys.stderr)
