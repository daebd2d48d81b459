"""Check a config's training, validation and test data, and print all that is wrong with them.

python tools/check_dataset.py CONFIG
python tools/check_dataset.py CONFIG --no-images --cfg-options train_dataloader.dataset.ann_file=F

Annotation files are checked whole, image files at header and end, evaluators' files for the same
classes and images. Leaves with exit code 1 if training or testing would stop at one of them;
warnings say what is left out. Only data sets in COCO's format are checked. Whether model and
pipelines fit the data, and all data sets have the same classes, training alone finds out, before
its first iteration.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask import cli
from mmdet_embedmask.checks.config import check_config_data
from mmdet_embedmask.loading import load_config


def main(argv: Sequence[str] | None = None) -> int:
    """Check and print.

    Returns:
        The exit code.
    """
    parser = cli.tool_parser(__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument(
        "--images",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="look at the image files too (the default)",
    )
    cli.add_cfg_options(parser)
    args = parser.parse_args(argv)
    cli.check_files(parser, [args.config])
    has_errors = False
    for name, problems in check_config_data(
        load_config(args.config, args.cfg_options), args.images
    ):
        print(f"{name}: {'no problem' if not problems else ''}")
        for problem in problems:
            print(f"  {problem}")
            has_errors |= problem.is_error
    return int(has_errors)


if __name__ == "__main__":
    raise SystemExit(main())
