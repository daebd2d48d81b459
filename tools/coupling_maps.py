"""Draw where masks come from: spatial-aware P, spatial-free P, product and contour (figure 3).

python tools/coupling_maps.py CONFIG CHECKPOINT OUT_DIR --instances 4
python tools/coupling_maps.py CONFIG CHECKPOINT OUT_DIR --images IMAGE --instances 0,7,12
python tools/coupling_maps.py CONFIG CHECKPOINT OUT_DIR --coco ANNOTATIONS --image-root FOLDER
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask import cli, files
from mmdet_embedmask.inspection import inspect_image
from mmdet_embedmask.visualization.coupling_maps import coupling_maps
from mmdet_embedmask.visualization.drawing_arguments import (
    drawing_parser,
    open_embed_mask,
    progress,
)


def chosen_instances(text: str) -> int | list[int]:
    """Read ``--instances``: '4' is a number of detections, '0,7' and '7,' are positions."""
    try:
        if "," in text:
            positions = [int(part) for part in text.split(",") if part.strip()]
            if positions and min(positions) >= 0:
                return positions
        elif int(text) >= 1:
            return int(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(
        f"{text!r} is neither a number of detections like 4 nor positions like 0,7 or 7,"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Inspect, draw and write."""
    parser = drawing_parser(__doc__, num=6, tile=240)
    cli.add_model(parser)
    parser.add_argument("out", type=Path, help="folder of the pictures, one an image")
    parser.add_argument(
        "--instances",
        type=chosen_instances,
        default=4,
        help="how many of each image, the best, or which: 0 is the best, 0,7 two, 7, one (4)",
    )
    args = parser.parse_args(argv)
    model, source, indices = open_embed_mask(parser, args)
    drawn = 0
    for index in progress(indices):
        path = source.path(index)
        inspected = inspect_image(model, source.batch(index), args.score_thr)
        detected = range(len(inspected.scores))
        wanted = args.instances
        chosen = (
            detected[:wanted] if isinstance(wanted, int) else [k for k in wanted if k in detected]
        )
        if not chosen:
            continue
        picture = coupling_maps(
            source.image(index),
            inspected,
            chosen,
            class_names=source.class_names,
            mask_thr=model.mask_head.test_cfg.mask_thr,
            title=f"{path.name}: {len(chosen)} of {len(detected)} detections",
            tile=args.tile,
        )
        files.write_png(args.out / files.picture_name(index, path), picture)
        drawn += 1
    print(
        f"{args.out}: {drawn} pictures; {len(indices) - drawn} images have none of the chosen "
        f"detections with a score of {args.score_thr} or more"
    )


if __name__ == "__main__":
    main()
