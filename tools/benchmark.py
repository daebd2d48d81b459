r"""Benchmark any detectors of MMDetection side by side: time of every stage, memory, FLOPs.

python tools/benchmark.py CONFIG [CONFIG ...] --checkpoint CKPT [CKPT ...] --runs 10 --out DIR

CONFIG is a file, or one of MMDetection's own as mmdet::solov2/solov2_r50_fpn_1x_coco.py. Detectors
run in turns in one process, so that a drift of the machine hits all alike. Every one is made to
find the same number of instances, so that untrained or unequal detectors compare fairly.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask import cli
from mmdet_embedmask.benchmark.detectors import (
    MIN_SIZE,
    DetectorSpec,
    ImageSpec,
    check_instances,
    prepare,
)
from mmdet_embedmask.benchmark.fixed_instances import CANDIDATES
from mmdet_embedmask.benchmark.inference_memory import inference_memory
from mmdet_embedmask.benchmark.machine import add_device_option, device_name
from mmdet_embedmask.benchmark.side_by_side import Measured, comparison_figure, comparison_table
from mmdet_embedmask.benchmark.stages import Subject, mask_share, time_stages
from mmdet_embedmask.files import write_bytes, write_json
from mmdet_embedmask.visualization.sweep_plot import write_figure


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.tool_parser(__doc__)
    parser.add_argument("configs", nargs="+", metavar="CONFIG")
    parser.add_argument(
        "--checkpoint", type=Path, nargs="+", default=[], help="one a config (untrained weights)"
    )
    add_device_option(parser)
    image = parser.add_mutually_exclusive_group()
    image.add_argument(
        "--size", type=int, nargs=2, default=(800, 1333), metavar=("H", "W"), help="(800 1333)"
    )
    image.add_argument("--image", type=Path, help="a file, resized by the config's test pipeline")
    parser.add_argument(
        "--original-size", type=int, nargs=2, metavar=("H", "W"), help="of the masks (as --size)"
    )
    parser.add_argument("--batch", type=int, default=1, help="images at once (%(default)s)")
    parser.add_argument("--runs", type=int, default=10, help="measured runs (%(default)s)")
    parser.add_argument("--warmup", type=int, default=2, help="runs before (%(default)s)")
    parser.add_argument("--threads", type=int, help="CPU threads of torch (torch's choice)")
    parser.add_argument(
        "--instances",
        type=int,
        default=100,
        help="in every image; 0: what each detector finds (%(default)s)",
    )
    parser.add_argument(
        "--rle", action="store_true", help="masks as run lengths: EmbedMask's own, else encoded"
    )
    parser.add_argument(
        "--prior-margin",
        type=float,
        help="of EmbedMask: the larger, the larger are its masks while untrained (the configs')",
    )
    parser.add_argument("--memory", action="store_true", help="measure memory too")
    parser.add_argument("--amp", action="store_true", help="run under autocast")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true", help="torch.compile the network")
    parser.add_argument("--out", type=Path, help="folder for table, JSON and plot")
    cli.add_cfg_options(parser)
    args = parser.parse_args(argv)
    _check(parser, args)
    return args


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    files = [Path(config) for config in args.configs if "::" not in config]
    cli.check_files(parser, [*files, *args.checkpoint, args.image])
    if args.checkpoint and len(args.checkpoint) != len(args.configs):
        parser.error(
            f"--checkpoint names {len(args.checkpoint)} files for {len(args.configs)} configs: "
            "name one for each, or none"
        )
    if args.image and args.original_size:
        parser.error("--original-size: the masks of --image are as large as the file's image")
    cli.check_size(parser, args.size, MIN_SIZE)
    cli.check_counts(parser, args, dict(runs=1, warmup=0, threads=1, instances=0, batch=1))
    if min(args.original_size or (1,)) < 1:
        parser.error(f"--original-size {args.original_size}: take at least 1")
    cli.check_output_folder(parser, args.out, "--out")


def read_specs(args: argparse.Namespace) -> tuple[list[DetectorSpec], ImageSpec]:
    """The detectors and the image that the command line names."""
    original = tuple(args.original_size) if args.original_size else None
    image = ImageSpec(tuple(args.size), original, args.image, args.batch)
    checkpoints = args.checkpoint or [None] * len(args.configs)
    specs = [
        DetectorSpec(
            config,
            checkpoint=checkpoint,
            cfg_options=args.cfg_options or {},
            instances=args.instances or None,
            run_lengths=args.rle,
            device=args.device,
            amp=args.amp,
            channels_last=args.channels_last,
            compile=args.compile,
            prior_margin=args.prior_margin,
        )
        for config, checkpoint in zip(args.configs, checkpoints, strict=True)
    ]
    return specs, image


def count_flops(subject: Subject) -> int:
    """Floating-point operations of one inference, by torch's counter."""
    with FlopCounterMode(display=False) as counter:
        subject.predict()
    return counter.get_total_flops()


def describe(args: argparse.Namespace, measured: Sequence[Measured]) -> str:
    """The line above the table: what was measured, and on what."""
    options = [name for name in ("amp", "channels_last", "compile") if getattr(args, name)]
    size = f"image {args.image}" if args.image else "image {} x {}".format(*args.size)
    original = "{} x {}".format(*args.original_size) if args.original_size else "the image's size"
    instances = "the instances that each finds"
    if args.instances:
        instances = (
            f"{args.instances} instances of {CANDIDATES * args.instances} candidates in each image"
        )
    shares = [f"{m.name} {100 * m.mask_share:.1f}%" for m in measured if m.mask_share is not None]
    parts = [
        ", ".join([device_name(args.device), *options]),
        f"CPU threads: {torch.get_num_threads()}",
        f"torch {torch.__version__}",
        f"{args.batch} x {size}, masks of {original}" + (" as run lengths" if args.rle else ""),
        instances,
        "trained weights" if args.checkpoint else "untrained weights",
        f"median (lowest to highest) of {args.runs} runs in turns after {args.warmup}",
        f"a mask covers of the image: {', '.join(shares)}" if shares else "",
    ]
    return "; ".join(filter(None, parts))


def measure(args: argparse.Namespace) -> list[Measured]:
    """Time all detectors in turns; then, one after the other, memory and operations."""
    specs, image = read_specs(args)
    subjects = [prepare(spec, image) for spec in specs]
    for subject in subjects:
        if args.instances:
            check_instances(subject, args.instances)
    times = time_stages(subjects, args.runs, args.warmup)
    measured = []
    for spec, subject, (runs, instances) in zip(specs, subjects, times, strict=True):
        memory = None
        if args.memory:
            threads = torch.get_num_threads()
            memory = inference_memory(spec, image, subject.score_thr, threads)
        measured.append(
            Measured(
                subject.name,
                runs=runs,
                instances=instances,
                mask_share=mask_share(subject),
                parameters=sum(p.numel() for p in subject.model.parameters()),
                flops=None if args.compile else count_flops(subject),
                memory=memory,
            )
        )
    return measured


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    args = parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        measured = measure(args)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    text = f"{describe(args, measured)}\n\n{comparison_table(measured)}"
    print(text)
    if args.out:
        write_bytes(args.out / "benchmark.md", f"{text}\n".encode())
        settings = {name: str(value) for name, value in vars(args).items()}
        detectors = [m.to_json() for m in measured]
        write_json(args.out / "benchmark.json", dict(settings=settings, detectors=detectors))
        write_figure(comparison_figure(measured), args.out / "benchmark.png")


if __name__ == "__main__":
    main()
