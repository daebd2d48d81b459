"""Benchmark the mask stage alone: EmbedMask, its dense definition, CondInst; generated objects.

python tools/mask_benchmark.py --instances 100 --area 0.04 --size 800 1333 --original-size 3000 4000

From the pixel tower's output to masks of the original size that have been read once: on the CPU
empty parts of EmbedMask's cost nothing until then. How long EmbedMask takes depends on how large
objects are; the others compute every pixel of every mask anyway.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask import cli
from mmdet_embedmask.benchmark.machine import add_device_option, device_name
from mmdet_embedmask.benchmark.mask_stage import MaskStage, mask_stage_memory, time_mask_stages
from mmdet_embedmask.benchmark.side_by_side import Spread
from mmdet_embedmask.files import write_json
from mmdet_embedmask.functional.dense_masks import MaskRecipe
from mmdet_embedmask.tables import markdown_table


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.tool_parser(__doc__)
    parser.add_argument("--instances", type=int, default=100, help="(%(default)s)")
    parser.add_argument(
        "--area",
        type=float,
        default=0.04,
        help="of an object, as a part of the image (%(default)s)",
    )
    parser.add_argument("--size", type=int, nargs=2, default=(800, 1333), metavar=("H", "W"))
    parser.add_argument(
        "--original-size", type=int, nargs=2, metavar=("H", "W"), help="of the masks (as --size)"
    )
    parser.add_argument("--aligned", action="store_true", help="resize as the fused program")
    parser.add_argument("--crop-to-box", action="store_true", help="crop masks to their boxes")
    add_device_option(parser)
    parser.add_argument("--runs", type=int, default=7, help="measured runs (%(default)s)")
    parser.add_argument("--warmup", type=int, default=2, help="runs before (%(default)s)")
    parser.add_argument("--threads", type=int, help="CPU threads of torch (torch's choice)")
    parser.add_argument("--memory", action="store_true", help="measure peak memory too")
    parser.add_argument("--json", type=Path, help="write all runs to this file")
    args = parser.parse_args(argv)
    if not 0 < args.area <= 1:
        parser.error(f"--area {args.area} must be a part of the image, between 0 and 1")
    cli.check_counts(parser, args, dict(instances=1, runs=1, warmup=0, threads=1))
    if min(*args.size, *(args.original_size or (1,))) < 1:
        parser.error("--size and --original-size: take at least 1 pixel")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    args = parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    mode = "aligned" if args.aligned else "bilinear"
    recipe = MaskRecipe(0.5, upsample_mode=mode, resize=mode, crop_to_box=args.crop_to_box)
    size, original = tuple(args.size), tuple(args.original_size or args.size)
    stage = MaskStage(
        instances=args.instances,
        area=args.area,
        img_shape=size,
        size=original,
        recipe=recipe,
        device=args.device,
    )
    times = time_mask_stages(stage, args.runs, args.warmup)
    memory = mask_stage_memory(stage, torch.get_num_threads()) if args.memory else {}
    fastest = median(times["EmbedMask"]), median(times["EmbedMask, run lengths"])
    rows = []
    for name, runs in times.items():
        reference = fastest["run lengths" in name or "encoded" in name]
        rows.append(
            [
                name,
                Spread.of(runs).text(1),
                f"{median(runs) / reference:.1f}",
                f"{memory[name] / 1e6:.0f}" if memory else "",
            ]
        )
    print(
        f"{device_name(args.device)}, {torch.get_num_threads()} threads; torch "
        f"{torch.__version__}; {args.instances} objects of {100 * args.area:g}% of the image, "
        f"{size[0]} x {size[1]}, masks of {original[0]} x {original[1]}, read once; {recipe}; "
        f"median (lowest to highest) of {args.runs} runs in turns after {args.warmup}\n"
    )
    print(markdown_table(["mask stage", "ms", "times EmbedMask's", "peak memory (MB)"], rows))
    if args.json:
        settings = {name: str(value) for name, value in vars(args).items()}
        write_json(args.json, dict(settings=settings, times_ms=times, memory_bytes=memory))


if __name__ == "__main__":
    main()
