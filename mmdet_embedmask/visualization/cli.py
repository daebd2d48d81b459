"""What the tools that draw have in common: arguments, their checks, and progress."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from mmengine.config import Config, DictAction
from tqdm import tqdm

from ..cli import check_embed_mask
from ..loading import build_detector, load_config
from .sheet_rows import spread_indices
from .style import MIN_TILE

if TYPE_CHECKING:
    from ..inputs.image_source import ImageSource


def make_parser(doc: str | None, num: int | None, tile: int) -> argparse.ArgumentParser:
    """A parser with the arguments that all the tools take.

    Args:
        doc: the tool's docstring.
        num: images to draw if the user does not say; None: all.
        tile: pixels of a panel if the user does not say.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_argument_group("images (default: the config's test data set)")
    which.add_argument("--images", type=Path, help="a folder of images, or one image")
    which.add_argument("--coco", type=Path, help="an annotation file in COCO's format")
    which.add_argument("--image-root", type=Path, help="the folder of its images")
    shown = "all" if num is None else num
    which.add_argument("--num", type=int, default=num, help=f"spread over the set ({shown})")
    parser.add_argument("--score-thr", type=float, default=0.3, help="lowest score (%(default)s)")
    parser.add_argument("--tile", type=int, default=tile, help="pixels of a panel (%(default)s)")
    parser.add_argument(
        "--device", default="cuda:0" if torch.cuda.is_available() else "cpu", help="(%(default)s)"
    )
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="key=value ...")
    return parser


def add_model(parser: argparse.ArgumentParser, side: str = "") -> None:
    """Add ``config`` and ``checkpoint``, with a suffix where there are several of them."""
    parser.add_argument(f"config{side}", type=Path)
    parser.add_argument(f"checkpoint{side}", type=Path)


def check_arguments(
    parser: argparse.ArgumentParser, args: argparse.Namespace, files: Sequence[Path]
) -> None:
    """Leave with an error that names cause and cure, if the arguments cannot work.

    Args:
        parser: of `make_parser`.
        args: what it read, with the output folder as ``out``.
        files: configs and checkpoints.
    """
    for path in [*files, *([args.coco] if args.coco else [])]:
        if not path.is_file():
            parser.error(f"{path} is not a file")
    if args.images and args.coco:
        parser.error("--images and --coco both say which images to read: give one of them")
    if args.coco and not args.image_root:
        parser.error("--coco needs --image-root: the folder that its file names start from")
    if args.image_root and not args.coco:
        parser.error("--image-root belongs to --coco; a folder of images is given by --images")
    if args.image_root and not args.image_root.is_dir():
        parser.error(f"--image-root {args.image_root} is not a folder")
    if args.num is not None and args.num < 1:
        parser.error(f"--num {args.num} must be at least 1")
    if not 0 <= args.score_thr <= 1:
        parser.error(f"--score-thr {args.score_thr} must lie between 0 and 1")
    if args.tile < MIN_TILE:
        parser.error(f"--tile {args.tile} must be at least {MIN_TILE}")
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error(f"--device {args.device}: torch finds no GPU here, use --device cpu")
    if args.out.exists() and not args.out.is_dir():
        parser.error(f"{args.out} is a file, but must be a folder to write into")


def open_source(
    parser: argparse.ArgumentParser, args: argparse.Namespace, config: Config, annotated: bool
) -> tuple["ImageSource", list[int]]:
    """Open the images and choose those to draw; leaves with an error if that cannot work.

    Args:
        parser: reports errors.
        args: of `make_parser`.
        config: gives pipeline, class names and default data.
        annotated: whether ground truth is needed.
    """
    # Imports MMDetection, which takes seconds: not before the arguments are right.
    from ..inputs.images import open_images

    if annotated and args.images:
        parser.error("--images has no ground truth to compare with: use --coco and --image-root")
    try:
        source = open_images(config, args.images, args.coco, args.image_root)
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
) -> tuple[Any, "ImageSource", list[int]]:
    """Check everything, then load an EmbedMask and open the images to look into, annotated or not.

    Args:
        parser: of `make_parser` and `add_model`; reports errors.
        args: what it read, with the output folder as ``out``.

    Returns:
        The model, the images, and which of them to draw.
    """
    check_arguments(parser, args, [args.config, args.checkpoint])
    config = load_config(args.config, args.cfg_options)
    check_embed_mask(parser, config)
    source, indices = open_source(parser, args, config, annotated=False)
    return load_model(config, args.checkpoint, args.device), source, indices


def load_model(config: Config, checkpoint: Path, device: str) -> Any:
    """The config's detector with a checkpoint's weights, in eval mode."""
    return build_detector(config, checkpoint, device)


def progress(indices: Sequence[int]) -> Iterator[int]:
    """Yield the indices and show on stderr how far it is."""
    yield from tqdm(indices, unit="image", file=sys.stderr)
