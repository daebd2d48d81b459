"""Generate a COCO-format instance segmentation data set of overlapping shapes.

python tools/make_shapes_coco.py OUT_DIR --train 400 --val 80 --size 160 160 --seed 0
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from mmdet_embedmask import cli
from mmdet_embedmask.data.shape_scene import ShapesConfig
from mmdet_embedmask.data.shapes import write_coco_shapes


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.tool_parser(__doc__)
    defaults = ShapesConfig(num_images=1)
    parser.add_argument(
        "out_dir", type=Path, help="folder of the data set; its splits are replaced"
    )
    parser.add_argument("--train", type=int, default=400, help="training images (400); 0: no split")
    parser.add_argument("--val", type=int, default=80, help="validation images (80); 0: no split")
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        default=(defaults.height, defaults.width),
        help=f"of every image in pixels ({defaults.height} {defaults.width})",
    )
    parser.add_argument("--min-objects", type=int, default=defaults.objects[0])
    parser.add_argument("--max-objects", type=int, default=defaults.objects[1])
    parser.add_argument(
        "--sizes",
        type=float,
        nargs=2,
        metavar=("SMALLEST", "LARGEST"),
        default=defaults.sizes,
        help="extent of objects as a part of the image's shorter side (%(default)s)",
    )
    parser.add_argument(
        "--classes", nargs="+", metavar="CLASS", default=defaults.classes, help="(%(default)s)"
    )
    parser.add_argument("--empty-fraction", type=float, default=defaults.empty_fraction)
    parser.add_argument("--crowd-fraction", type=float, default=defaults.crowd_fraction)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    args = parser.parse_args(argv)
    if args.train < 0 or args.val < 0 or args.train + args.val == 0:
        parser.error(f"--train {args.train} --val {args.val} asks for no images: give numbers > 0")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Write the splits and say what was written."""
    args = parse_args(argv)
    try:
        # All configs first, so that a bad value is told before anything is written.
        configs = {
            split: ShapesConfig(
                num_images=num_images,
                height=args.size[0],
                width=args.size[1],
                objects=(args.min_objects, args.max_objects),
                sizes=tuple(args.sizes),
                classes=tuple(args.classes),
                empty_fraction=args.empty_fraction,
                crowd_fraction=args.crowd_fraction,
                seed=args.seed,
            )
            for split, num_images in (("train", args.train), ("val", args.val))
            if num_images
        }
        paths = [write_coco_shapes(args.out_dir, split, c) for split, c in configs.items()]
    except ValueError as error:
        raise SystemExit(f"make_shapes_coco.py: {error}") from error
    for path in paths:
        dataset = json.loads(path.read_text(encoding="utf-8"))
        crowds = sum(annotation["iscrowd"] for annotation in dataset["annotations"])
        print(
            f"{path}: {len(dataset['images'])} images, "
            f"{len(dataset['annotations']) - crowds} objects, {crowds} crowds"
        )


if __name__ == "__main__":
    main()
