"""Draw a sheet of predictions beside ground truth, over the config's test data set.

python tools/picture_sheet.py CONFIG CHECKPOINT OUT.png --num 6 --score-thr 0.4
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import DictAction

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask.files import write_png
from mmdet_embedmask.loading import build_detector, load_config
from mmdet_embedmask.visualization.sheet import picture_sheet
from mmdet_embedmask.visualization.sheet_rows import dataset_row, spread_indices
from mmdet_embedmask.visualization.style import MIN_TILE


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path, help="the sheet, a .png file")
    parser.add_argument("--num", type=int, default=6, help="images, spread over the data set (6)")
    parser.add_argument("--score-thr", type=float, default=0.4, help="lowest score drawn (0.4)")
    parser.add_argument("--tile", type=int, default=320, help="longer side of a picture (320)")
    parser.add_argument(
        "--device", default="cuda:0" if torch.cuda.is_available() else "cpu", help="(%(default)s)"
    )
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="key=value ...")
    args = parser.parse_args(argv)
    for path in (args.config, args.checkpoint):
        if not path.is_file():
            parser.error(f"{path} is not a file")
    if args.out.suffix.lower() != ".png":
        parser.error(f"{args.out} must end in .png")
    if args.num < 1:
        parser.error(f"--num {args.num} must be at least 1")
    if args.tile < MIN_TILE:
        parser.error(f"--tile {args.tile} must be at least {MIN_TILE}")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Predict, draw and write."""
    args = parse_args(argv)
    from mmdet_embedmask.inputs.images import config_dataset

    config = load_config(args.config, args.cfg_options)
    model = build_detector(config, args.checkpoint, args.device)
    dataset = config_dataset(config)
    indices = spread_indices(len(dataset), args.num)
    rows = [dataset_row(model, dataset, index, args.score_thr) for index in indices]
    sheet = picture_sheet(rows, dataset.metainfo["classes"], args.tile)

    write_png(args.out, sheet)
    print(f"{args.out}: {len(rows)} images, predictions with a score of {args.score_thr} or more")


if __name__ == "__main__":
    main()
