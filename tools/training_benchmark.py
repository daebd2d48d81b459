"""Benchmark training steps of any detectors of MMDetection side by side.

python tools/training_benchmark.py CONFIG [CONFIG ...] --images 2 --instances 60 --runs 3

Detectors run in turns in one process; memory is measured in a new process for each on the CPU, and
in this one on a GPU.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask import cli
from mmdet_embedmask.benchmark.machine import add_device_option, device_name
from mmdet_embedmask.benchmark.side_by_side import Spread
from mmdet_embedmask.benchmark.training_steps import (
    TrainingBatch,
    TrainingSpec,
    time_training,
    training_memory,
)
from mmdet_embedmask.files import write_json
from mmdet_embedmask.tables import markdown_table


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.tool_parser(__doc__)
    parser.add_argument("configs", nargs="+", metavar="CONFIG")
    add_device_option(parser)
    parser.add_argument("--amp", action="store_true", help="train in mixed precision")
    parser.add_argument("--images", type=int, default=2, help="in the batch (%(default)s)")
    parser.add_argument("--instances", type=int, default=60, help="in each image (%(default)s)")
    parser.add_argument("--size", type=int, nargs=2, default=(800, 1344), metavar=("H", "W"))
    parser.add_argument("--runs", type=int, default=3, help="measured steps (%(default)s)")
    parser.add_argument("--warmup", type=int, default=1, help="steps before (%(default)s)")
    parser.add_argument("--threads", type=int, help="CPU threads of torch (torch's choice)")
    parser.add_argument("--memory", action="store_true", help="measure peak memory too")
    parser.add_argument("--json", type=Path, help="write all runs to this file")
    args = parser.parse_args(argv)
    cli.check_files(parser, [Path(config) for config in args.configs if "::" not in config])
    for side in args.size:
        if side < 32 or side % 32:
            parser.error(f"--size {side}: height and width must be multiples of 32")
    cli.check_counts(parser, args, dict(images=1, instances=0, runs=1, warmup=0, threads=1))
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    args = parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    batch = TrainingBatch(args.images, args.instances, tuple(args.size))
    specs = [TrainingSpec(config, device=args.device, amp=args.amp) for config in args.configs]
    names = [Path(config).stem for config in args.configs]
    try:
        times = time_training(specs, batch, args.runs, args.warmup)
        threads = torch.get_num_threads()
        memory = [training_memory(spec, batch, threads) if args.memory else None for spec in specs]
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    first = median(times[0])
    rows = [
        [
            name,
            Spread.of(runs).text(2),
            f"{median(runs) / first:.2f}",
            "" if peak is None else f"{peak / 1e9:.2f}",
        ]
        for name, runs, peak in zip(names, times, memory, strict=True)
    ]
    print(
        f"{device_name(args.device)}{', amp' * args.amp}, {threads} threads; torch "
        f"{torch.__version__}; {args.images} images of {args.size[0]} x {args.size[1]} with "
        f"{args.instances} instances each; untrained weights; median (lowest to highest) of "
        f"{args.runs} steps in turns after {args.warmup}\n"
    )
    print(markdown_table(["detector", "s / iteration", "ratio", "peak memory (GB)"], rows))
    if args.json:
        settings = {name: str(value) for name, value in vars(args).items()}
        content = [
            dict(name=name, seconds=runs, memory_bytes=peak)
            for name, runs, peak in zip(names, times, memory, strict=True)
        ]
        write_json(args.json, dict(settings=settings, detectors=content))


if __name__ == "__main__":
    main()
