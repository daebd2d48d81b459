"""Convert a checkpoint of this package to the names of the authors' programs.

python tools/model_converters/mmdet_to_official.py work_dirs/run/iter_90000.pth released.pth

A plain pixel tower gives the names of their plain program (Table 1), a fused one those of their
fused program (Table 2); the weights lie under 'model'. Options that their programs lack are
refused.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask import cli
from mmdet_embedmask.conversion.checkpoint_file import (
    check_output,
    named_tensors,
    read_checkpoint,
    write_checkpoint,
)
from mmdet_embedmask.conversion.errors import ConversionError
from mmdet_embedmask.conversion.official import conversion_report, to_official
from mmdet_embedmask.conversion.our_checkpoint import released_buffers


def _make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = cli.tool_parser(__doc__)
    parser.add_argument("src", type=Path, help="a checkpoint of this package")
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    return parser


def convert_to_official(args: argparse.Namespace) -> list[str]:
    """Convert one file and return the report."""
    check_output(args.src, args.out, args.force)
    checkpoint, _ = read_checkpoint(args.src)
    if "state_dict" not in checkpoint:
        raise ConversionError(
            f"{args.src} has no state_dict: give a checkpoint that tools/train.py or "
            "official_to_mmdet.py wrote"
        )
    ours = named_tensors(checkpoint["state_dict"])
    official = to_official(ours)
    buffers = released_buffers(checkpoint, official)
    write_checkpoint(args.out, dict(model=official.weights | buffers))
    report = conversion_report(official, ours)
    if absent := [name for name in official.family.skipped if name not in buffers]:
        report.append(f"note: not written: {', '.join(absent)}; their program sets them itself")
    return report


def main(argv: Sequence[str] | None = None) -> None:
    """Convert and print."""
    parser = _make_parser()
    args = parser.parse_args(argv)
    try:
        report = convert_to_official(args)
    except ValueError as error:
        parser.error(str(error))
    print("\n".join([*report, f"{args.out}: written"]))


if __name__ == "__main__":
    main()
