"""Measure on a GPU what docs/benchmark.md tells of a CPU, and more: one report in one folder.

python tools/gpu_report.py --out work_dirs/gpu_report

It is written after every part. A run that was cut, or whose parts failed, is completed by the same
command. The exit code is 1 if something failed that should not have.
"""

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask import cli
from mmdet_embedmask.benchmark.gpu_report import REPORT_FILE, Report, table_text
from mmdet_embedmask.benchmark.machine import add_device_option, describe_machine
from mmdet_embedmask.benchmark.report_parts import PARTS, Setup
from mmdet_embedmask.benchmark.report_scale import FULL, SMALL, detectors

_CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "embedmask"


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.tool_parser(__doc__)
    add_device_option(parser, default="cuda")
    parser.add_argument(
        "--small", action="store_true", help="tiny images and models, to see that everything runs"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("work_dirs/gpu_report"), help="folder (%(default)s)"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS], help="(all)")
    args = parser.parse_args(argv)
    cli.check_output_folder(parser, args.out, "--out")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write."""
    args = parse_args(argv)
    # MMEngine imports it anew with every config of MMDetection.
    warnings.filterwarnings("ignore", "pkg_resources is deprecated")
    if args.small:  # Several threads that share their cores with others wait for each other.
        torch.set_num_threads(1)
    setup = Setup(args.device, SMALL if args.small else FULL, detectors(_CONFIGS))
    report = Report(args.out, setup, describe_machine(args.device))
    try:
        report.resume()
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    failures = report.measure(args.parts)
    print(f"{table_text(report.summary())}\n\nThe report is {args.out / REPORT_FILE}")
    if failures:
        reasons = "\n".join(f"- {failure.name}: {failure.reason}" for failure in failures)
        raise SystemExit(f"error: not everything could be measured:\n{reasons}")


if __name__ == "__main__":
    main()
