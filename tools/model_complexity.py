"""Count parameters and floating-point operations of detectors.

python tools/model_complexity.py CONFIG [CONFIG ...] --size 800 1333
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

import mmdet_embedmask  # before MMDetection: it serves MMCV's operations
from mmdet_embedmask import cli
from mmdet_embedmask.benchmark.complexity import DETECTOR_PARTS, FLOPS_MEANING, Complexity, analyze
from mmdet_embedmask.benchmark.detectors import MIN_SIZE, load_detector_config
from mmdet_embedmask.files import write_json
from mmdet_embedmask.loading import build_detector
from mmdet_embedmask.tables import markdown_table


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.tool_parser(__doc__)
    parser.add_argument("configs", type=Path, nargs="+", metavar="CONFIG")
    parser.add_argument(
        "--size", type=int, nargs=2, default=(800, 1333), metavar=("H", "W"), help="(800 1333)"
    )
    parser.add_argument("--json", type=Path, help="write the counts to this file")
    cli.add_cfg_options(parser)
    args = parser.parse_args(argv)
    cli.check_files(parser, args.configs)
    cli.check_size(parser, args.size, MIN_SIZE)
    if args.json and args.json.is_dir():
        parser.error(f"--json {args.json} is a folder: name a file")
    return args


def count_all(args: argparse.Namespace) -> list[Complexity]:
    """Count one detector after the other; all configs are read before the first is built."""
    try:
        options = args.cfg_options
        configs = [
            load_detector_config(path, mmdet_embedmask.EmbedMask, options) for path in args.configs
        ]
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    return [
        analyze(path.stem, build_detector(config, None, torch.device("cpu")), *args.size)
        for path, config in zip(args.configs, configs, strict=True)
    ]


def counts_table(counts: Sequence[Complexity]) -> str:
    """A row a detector, a column a part: parameters in millions / FLOPs in 10^9."""
    rows = []
    for c in counts:
        totals = sum(c.parameters.values()), sum(c.flops.values())
        numbers = [totals, *((c.parameters[part], c.flops[part]) for part in DETECTOR_PARTS)]
        cells = [f"{params / 1e6:.2f} M / {flops / 1e9:.2f} G" for params, flops in numbers]
        rows.append([c.name, *cells, f"{c.training_only / 1e6:.2f} M"])
    return markdown_table(["config", "inference", *DETECTOR_PARTS, "training only"], rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Count, print and write."""
    args = parse_args(argv)
    counts = count_all(args)
    padded = " / ".join(dict.fromkeys("{} x {}".format(*c.padded_size) for c in counts))
    print(f"Image {args.size[0]} x {args.size[1]}, padded to {padded}. Cells: parameters / FLOPs.")
    print(f"FLOPs: {FLOPS_MEANING}.\n")
    print(counts_table(counts))
    if args.json:
        write_json(args.json, dict(flops=FLOPS_MEANING, detectors=[c.to_json() for c in counts]))
        print(f"\n{args.json}: the counts")


if __name__ == "__main__":
    main()
