"""Evaluate a list of mask thresholds from one pass over the test data (paper, figure 5).

python tools/threshold_sweep.py CONFIG CHECKPOINT --out DIR --thresholds 0.48 0.5 0.52 0.54

Writes sweep.json and sweep.png into DIR and prints a table.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner
from tqdm import tqdm

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask import cli
from mmdet_embedmask.evaluation.threshold_sweep import (
    FIGURES,
    best_threshold,
    build_metrics,
    check_thresholds,
    default_thresholds,
    sweep_thresholds,
)
from mmdet_embedmask.files import write_json
from mmdet_embedmask.loading import build_detector, load_config
from mmdet_embedmask.tables import markdown_table
from mmdet_embedmask.visualization.sweep_plot import sweep_figure, write_figure


def parse_args(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, Config]:
    """Read the command line and the config."""
    parser = cli.tool_parser(__doc__)
    cli.add_model(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--thresholds", type=float, nargs="+", help="(0.30 to 0.70 by 0.02)")
    cli.add_device(parser)
    cli.add_cfg_options(parser)
    args = parser.parse_args(argv)
    cli.check_files(parser, [args.config, args.checkpoint])
    cli.check_output_folder(parser, args.out, "--out")
    try:
        args.thresholds = check_thresholds(args.thresholds or default_thresholds())
    except ValueError as error:
        parser.error(f"--thresholds: {error}")
    config = load_config(args.config, args.cfg_options)
    cli.check_embed_mask(parser, config)
    return args, config


def percent(value: float) -> str:
    """COCO says -1 where there is no object of a size."""
    return "-" if value < 0 else f"{100 * value:.1f}"


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate, write and print."""
    args, config = parse_args(argv)
    model = build_detector(config, args.checkpoint, args.device)
    loader = Runner.build_dataloader(config.test_dataloader)
    metrics = build_metrics(config.test_evaluator, loader.dataset.metainfo, len(args.thresholds))
    results = sweep_thresholds(model, tqdm(loader, unit="batch"), metrics, args.thresholds)

    best = best_threshold(args.thresholds, results)
    sweep = dict(thresholds=args.thresholds, results=results, best=best)
    write_json(args.out / "sweep.json", sweep)
    curve = {args.config.stem: [result["mAP"] for result in results]}
    write_figure(sweep_figure(args.thresholds, curve, best), args.out / "sweep.png")
    rows = [
        [f"{threshold:g}", *(percent(result[name]) for name in FIGURES)]
        for threshold, result in zip(args.thresholds, results, strict=True)
    ]
    print(markdown_table(["mask threshold", *FIGURES], rows))
    print(f"highest mask AP at {best:g}; the config sets {config.model.test_cfg.mask_thr:g}")


if __name__ == "__main__":
    main()
