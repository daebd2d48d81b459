"""Convert a checkpoint that the authors released to one of this package.

python tools/model_converters/official_to_mmdet.py embed_mask_R50_1x.pth embedmask_r50.pth

Takes weights of their plain and of their fused program (Tables 1 and 2), finds out which one and
how deep the network is, and writes them with the config of the same recipe. Tools and DetInferencer
then need the new file alone.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask import cli
from mmdet_embedmask.conversion.checkpoint_file import (
    check_output,
    read_checkpoint,
    released_weights,
    write_checkpoint,
)
from mmdet_embedmask.conversion.official import conversion_report, recognize
from mmdet_embedmask.conversion.our_checkpoint import default_config, our_checkpoint
from mmdet_embedmask.loading import load_config
from mmdet_embedmask.options import check_positive

_CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "embedmask"


def _make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = cli.tool_parser(__doc__)
    parser.add_argument("src", type=Path, help="the authors' checkpoint")
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--config", type=Path, help="(the released recipe of program and depth)")
    cli.add_cfg_options(parser)
    parser.add_argument(
        "--embed-reduce-factor",
        type=float,
        default=1.0,
        help="EMBED_REDUCE_FACTOR of the plain program's configuration (%(default)g)",
    )
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    return parser


def convert_to_ours(args: argparse.Namespace) -> list[str]:
    """Convert one file and return the report."""
    check_output(args.src, args.out, args.force)
    check_positive("--embed-reduce-factor", args.embed_reduce_factor)
    checkpoint, sha256 = read_checkpoint(args.src)
    official = recognize(released_weights(checkpoint), args.embed_reduce_factor)
    path = args.config or default_config(_CONFIGS, official)
    config = load_config(path, args.cfg_options)
    ours = our_checkpoint(official, config, path.name, sha256)
    write_checkpoint(args.out, ours)
    return [*conversion_report(official, ours["state_dict"]), f"config: {path}"]


def main(argv: Sequence[str] | None = None) -> None:
    """Convert and print."""
    parser = _make_parser()
    args = parser.parse_args(argv)
    cli.check_files(parser, [args.config])
    try:
        report = convert_to_ours(args)
    except ValueError as error:
        parser.error(str(error))
    print("\n".join([*report, f"{args.out}: written"]))


if __name__ == "__main__":
    main()
