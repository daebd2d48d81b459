"""Evaluate a list of mask thresholds from one pass over the test data (paper, figure 5).

python tools/threshold_sweep.py CONFIG CHECKPOINT --out DIR --thresholds 0.48 0.5 0.52 0.54

Writes sweep.json and sweep.png into DIR and prints a table.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from tqdm import tqdm

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask.benchmark.tables import markdown_table, write_json


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--thresholds", type=float, nargs="+", help="(0.30 to 0.70 by 0.02)")
    parser.add_argument(
        "--device", default="cuda:0" if torch.cuda.is_available() else "cpu", help="(%(default)s)"
    )
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="key=value ...")
    args = parser.parse_args(argv)
    for path in (args.config, args.checkpoint):
        if not path.is_file():
            parser.error(f"{path} is not a file")
    from mmdet_embedmask.evaluation.threshold_sweep import check_thresholds, default_thresholds

    try:
        args.thresholds = check_thresholds(args.thresholds or default_thresholds())
    except ValueError as error:
        parser.error(f"--thresholds: {error}")
    return args


def percent(value: float) -> str:
    """COCO says -1 where there is no object of a size."""
    return "-" if value < 0 else f"{100 * value:.1f}"


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate, print and write."""
    args = parse_args(argv)
    from mmengine.runner import Runner

    from mmdet_embedmask.detector import build_detector
    from mmdet_embedmask.evaluation.threshold_sweep import (
        FIGURES,
        best_threshold,
        build_metrics,
        sweep_thresholds,
    )
    from mmdet_embedmask.visualization.sweep_plot import sweep_figure, write_figure

    config = Config.fromfile(args.config)
    if args.cfg_options:
        config.merge_from_dict(args.cfg_options)
    model = build_detector(config, args.checkpoint, args.device)
    loader = Runner.build_dataloader(config.test_dataloader)
    metrics = build_metrics(config.test_evaluator, loader.dataset.metainfo, len(args.thresholds))
    results = sweep_thresholds(model, tqdm(loader, unit="batch"), metrics, args.thresholds)

    best = best_threshold(args.thresholds, results)
    rows = [
        [f"{threshold:g}", *(percent(result[name]) for name in FIGURES)]
        for threshold, result in zip(args.thresholds, results, strict=True)
    ]
    print(markdown_table(["mask threshold", *FIGURES], rows))
    print(f"highest mask AP at {best:g}; the config sets {config.model.test_cfg.mask_thr:g}")
    curve = {args.config.stem: [result["mAP"] for result in results]}
    write_figure(sweep_figure(args.thresholds, curve, best), args.out / "sweep.png")
    sweep = dict(thresholds=args.thresholds, results=results, best=best)
    write_json(args.out / "sweep.json", sweep)


if __name__ == "__main__":
    main()
