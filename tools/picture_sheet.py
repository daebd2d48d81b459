"""Draw a sheet of predictions beside ground truth, over the config's test data set.

python tools/picture_sheet.py CONFIG CHECKPOINT OUT.png --num 6 --score-thr 0.4
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask import cli
from mmdet_embedmask.files import write_png
from mmdet_embedmask.inputs.images import config_dataset, spread_indices
from mmdet_embedmask.loading import build_detector, load_config
from mmdet_embedmask.visualization.rows import dataset_row
from mmdet_embedmask.visualization.sheet import picture_sheet
from mmdet_embedmask.visualization.style import MIN_TILE


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.tool_parser(__doc__)
    cli.add_model(parser)
    parser.add_argument("out", type=Path, help="the sheet, a .png file")
    parser.add_argument("--num", type=int, default=6, help="images, spread over the data set (6)")
    parser.add_argument("--score-thr", type=float, default=0.4, help="lowest score drawn (0.4)")
    parser.add_argument("--tile", type=int, default=320, help="longer side of a picture (320)")
    cli.add_device(parser)
    cli.add_cfg_options(parser)
    args = parser.parse_args(argv)
    cli.check_files(parser, [args.config, args.checkpoint])
    if args.out.suffix.lower() != ".png":
        parser.error(f"{args.out} must end in .png")
    cli.check_counts(parser, args, dict(num=1, tile=MIN_TILE))
    cli.check_score_thr(parser, args)
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Predict, draw and write."""
    args = parse_args(argv)
    config = load_config(args.config, args.cfg_options)
    model = build_detector(config, args.checkpoint, args.device)
    dataset = config_dataset(config)
    indices = spread_indices(len(dataset), args.num)
    rows = [dataset_row(model, dataset, index, args.score_thr) for index in indices]
    sheet = picture_sheet(rows, dataset.metainfo["classes"], tile=args.tile)

    write_png(args.out, sheet)
    print(f"{args.out}: {len(rows)} images, predictions with a score of {args.score_thr} or more")


if __name__ == "__main__":
    main()
