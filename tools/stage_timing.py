"""Time the stages of inference: backbone, neck, heads, boxes, masks and, apart, RLE encoding.

python tools/stage_timing.py CONFIG [CONFIG ...] --checkpoint CKPT [CKPT ...] --runs 20

Several detectors run in turns, so that a drift of the machine hits all alike.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import DictAction

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask.benchmark.clocks import clock_for
from mmdet_embedmask.benchmark.detectors import (
    MIN_SIZE,
    fix_instances,
    image_from_file,
    load_detector_config,
    random_image,
)
from mmdet_embedmask.benchmark.stage_times import StageTimes, times_table
from mmdet_embedmask.benchmark.stages import Subject, time_stages
from mmdet_embedmask.detector import build_detector
from mmdet_embedmask.files import write_json

DEFAULT_SIZE = (800, 1333)
INSTANCES_MEANING = (
    "the best {} candidates: score_thr=0, max_per_img={}, min_bbox_size=-1, nms iou_threshold=1.0"
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("configs", type=Path, nargs="+", metavar="CONFIG")
    parser.add_argument(
        "--checkpoint", type=Path, nargs="+", default=[], help="one a config (untrained weights)"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(%(default)s)")
    image = parser.add_mutually_exclusive_group()
    image.add_argument(
        "--size", type=int, nargs=2, metavar=("H", "W"), help="of an image of noise (800 1333)"
    )
    image.add_argument("--image", type=Path, help="a file, resized by the config's test pipeline")
    parser.add_argument("--runs", type=int, default=10, help="measured runs (%(default)s)")
    parser.add_argument("--warmup", type=int, default=2, help="runs before (%(default)s)")
    parser.add_argument("--threads", type=int, help="CPU threads of torch (torch's choice)")
    parser.add_argument(
        "--instances",
        type=int,
        help=f"K: {INSTANCES_MEANING.format('K', 'K')} (the config's test settings)",
    )
    parser.add_argument("--amp", action="store_true", help="run under autocast")
    parser.add_argument("--json", type=Path, help="write all runs and settings to this file")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="key=value ...")
    args = parser.parse_args(argv)
    _check(parser, args)
    return args


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    for path in (*args.configs, *args.checkpoint, *([args.image] if args.image else [])):
        if not path.is_file():
            parser.error(f"{path} is not a file")
    if args.checkpoint and len(args.checkpoint) != len(args.configs):
        parser.error(
            f"--checkpoint names {len(args.checkpoint)} files for {len(args.configs)} configs: "
            "name one for each, or none"
        )
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no CUDA device here, take --device cpu")
    for value in args.size or ():
        if value < MIN_SIZE:
            parser.error(f"--size {value}: height and width must be at least {MIN_SIZE} pixels")
    for name, least in (("runs", 1), ("warmup", 0), ("threads", 1), ("instances", 1)):
        value = getattr(args, name)
        if value is not None and value < least:
            parser.error(f"--{name} {value} must be at least {least}")
    if args.json and args.json.is_dir():
        parser.error(f"--json {args.json} is a folder: name a file")


def make_subjects(args: argparse.Namespace) -> list[Subject]:
    """Read every config and image, then build the detectors."""
    try:
        options = args.cfg_options
        configs = [load_detector_config(path, cfg_options=options) for path in args.configs]
        images = [
            image_from_file(config, args.image)
            if args.image
            else random_image(*(args.size or DEFAULT_SIZE))
            for config in configs
        ]
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    device = torch.device(args.device)
    checkpoints = args.checkpoint or [None] * len(configs)
    subjects = []
    for path, config, image, checkpoint in zip(
        args.configs, configs, images, checkpoints, strict=True
    ):
        if args.instances:
            fix_instances(config, args.instances)
        torch.manual_seed(0)
        model = build_detector(config, checkpoint, device)
        data = model.data_preprocessor(image, training=False)
        subjects.append(Subject(path.stem, model, data, clock_for(device), args.amp))
    return subjects


def describe(args: argparse.Namespace, times: Sequence[StageTimes]) -> str:
    """The line above the table: what was measured, and on what."""
    device = "CPU" if args.device == "cpu" else torch.cuda.get_device_name()
    sizes = [
        "image {} x {}, padded to {} x {}, masks of {} x {}".format(
            *t.image_size, *t.padded_size, *t.mask_size
        )
        for t in times
    ]
    settings = "the config's test settings"
    if args.instances:
        settings = INSTANCES_MEANING.format(args.instances, args.instances)
    parts = [
        f"{device}{', autocast' if args.amp else ''}",
        f"CPU threads: {torch.get_num_threads()}",
        f"torch {torch.__version__}",
        " / ".join(dict.fromkeys(sizes)),
        " / ".join(dict.fromkeys(str(t.detections) for t in times)) + f" detections ({settings})",
        "trained weights" if args.checkpoint else "untrained weights",
        f"milliseconds: median (min - max) of {args.runs} runs after {args.warmup}",
    ]
    return "; ".join(parts)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    args = parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    times = time_stages(make_subjects(args), args.runs, args.warmup)
    print(f"{describe(args, times)}\n\n{times_table(times)}")
    if args.json:
        content = dict(
            device=args.device,
            device_name=torch.cuda.get_device_name() if args.device == "cuda" else None,
            threads=torch.get_num_threads(),
            torch=torch.__version__,
            amp=args.amp,
            runs=args.runs,
            warmup=args.warmup,
            instances=args.instances,
            trained=bool(args.checkpoint),
            detectors=[t.to_json() for t in times],
        )
        write_json(args.json, content)
        print(f"\n{args.json}: all runs")


if __name__ == "__main__":
    main()
