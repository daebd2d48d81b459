r"""Train several detectors by the same budget with several seeds: one table of what each reaches.

python tools/accuracy_benchmark.py CONFIG [CONFIG ...] --work-dir DIR --seeds 0 1 2 \
    --train TRAIN.json TRAIN_IMAGES --val VAL.json VAL_IMAGES --iterations 400 --batch-size 2

With --seconds in place of --iterations every detector trains as long by the clock: their first
iterations are timed in turns, and each gets as many as it gets through in that time.
Where runs are evaluated on the way (--cfg-options train_cfg.val_interval=100), DIR/curves.png shows
mask AP over iterations and over seconds.
Runs that are finished in DIR are not repeated, so an interrupted command goes on where it stopped.
Several machines can share DIR with other seeds each; afterwards --table-only with all seeds makes
the table of them all.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from statistics import median

from mmengine.config import Config
from mmengine.device import get_device
from tqdm import tqdm

import mmdet_embedmask  # noqa: F401  says what is missing before anything else does
from mmdet_embedmask import cli
from mmdet_embedmask.benchmark.accuracy import (
    ITERATIONS,
    SECONDS,
    CocoSplit,
    accuracy_table,
    check_equal_budgets,
    iterations_for,
    read_result,
    set_iterations,
    use_data_set,
)
from mmdet_embedmask.benchmark.training_runs import (
    finished_run,
    mask_ap_curve,
    run_training,
    write_finished,
)
from mmdet_embedmask.files import write_bytes, write_json
from mmdet_embedmask.loading import load_config
from mmdet_embedmask.visualization.learning_curves import learning_figure
from mmdet_embedmask.visualization.sweep_plot import write_figure

_TOOLS = Path(__file__).resolve().parent


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.tool_parser(__doc__)
    parser.add_argument("configs", type=Path, nargs="+", metavar="CONFIG")
    parser.add_argument("--work-dir", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    for split in ("train", "val"):
        parser.add_argument(
            f"--{split}",
            type=Path,
            nargs=2,
            metavar=("JSON", "IMAGES"),
            help="COCO annotations and image folder (the configs' own data)",
        )
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--iterations", type=int, help="of every run (the configs' own)")
    budget.add_argument(
        "--seconds",
        type=float,
        help="of every run: each detector gets as many iterations as it is measured to get through",
    )
    parser.add_argument("--batch-size", type=int, help="images an iteration (the configs' own)")
    parser.add_argument("--table-only", action="store_true", help="train nothing")
    cli.add_cfg_options(parser, "key=value ..., for every run")
    args = parser.parse_args(argv)
    _check(parser, args)
    return args


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    cli.check_files(parser, args.configs)
    names = [path.stem for path in args.configs]
    if len(set(names)) < len(names):
        parser.error(f"the configs need different file names, not {names}")
    if (args.train is None) != (args.val is None):
        parser.error("--train and --val belong together: give both or none")
    for annotations, images in filter(None, (args.train, args.val)):
        cli.check_files(parser, [annotations])
        if not images.is_dir():
            parser.error(f"{images} is not a folder")
    cli.check_counts(parser, args, dict(iterations=1, batch_size=1))
    if args.seconds is not None and args.seconds <= 0:
        parser.error(f"--seconds {args.seconds:g} must be greater than zero")


def read_configs(args: argparse.Namespace) -> dict[str, Config]:
    """Every config with the command's budget and data, by name."""
    configs = {}
    for path in args.configs:
        config = load_config(path)
        if args.iterations:
            set_iterations(config, args.iterations)
        if args.batch_size:
            config.train_dataloader.batch_size = args.batch_size
        if args.train:
            use_data_set(config, CocoSplit(*args.train), CocoSplit(*args.val))
        config.merge_from_dict(args.cfg_options or {})
        configs[path.stem] = config
    check_equal_budgets(configs, by_the_clock=args.seconds is not None)
    if args.seconds:
        for name, iterations in measured_iterations(configs, args).items():
            set_iterations(configs[name], iterations)
            configs[name].merge_from_dict(args.cfg_options or {})
    return configs


def measured_iterations(configs: dict[str, Config], args: argparse.Namespace) -> dict[str, int]:
    """Iterations of every config for --seconds, measured once for a --work-dir.

    Raises:
        ValueError: if they were measured there for another time, device or configs, or a schedule
            counts epochs.
    """
    path = args.work_dir / "iterations.json"
    texts = {name: config.pretty_text for name, config in configs.items()}
    asked = dict(seconds=args.seconds, device=get_device(), configs=texts)
    if not path.exists():
        if args.table_only:
            raise ValueError(f"{path} is missing: without --table-only it is measured")
        for config in configs.values():
            set_iterations(deepcopy(config), 1)  # refuses schedules that count epochs
        measured = iterations_for(configs, args.seconds)
        write_json(path, dict(iterations=measured) | asked)
    content = json.loads(path.read_text(encoding="utf-8"))
    iterations: dict[str, int] = content.pop("iterations")
    if content != asked:
        differ = [key for key in asked if content.get(key) != asked[key]]
        raise ValueError(
            f"{path} was measured with other {' and '.join(differ)}: take another --work-dir"
        )
    return iterations


def train_detector(config: Config, work_dir: Path) -> dict[str, float]:
    """Train one detector with one seed."""
    path = work_dir / "config.py"
    write_bytes(path, config.pretty_text.encode())
    command = [sys.executable, str(_TOOLS / "train.py"), str(path), "--work-dir", str(work_dir)]
    result = read_result(work_dir, run_training(command, work_dir))
    if "max_iters" in config.train_cfg:
        result[ITERATIONS] = config.train_cfg.max_iters
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Train what is missing; print and write the table."""
    args = parse_args(argv)
    try:
        configs = read_configs(args)
        results: dict[str, list[dict[str, float]]] = {name: [] for name in configs}
        curves: dict[str, list[list[tuple[int, float]]]] = {name: [] for name in configs}
        runs = [(name, seed) for seed in args.seeds for name in configs]
        for name, seed in tqdm(runs, unit="run", disable=None):
            work_dir = args.work_dir / name / f"seed_{seed}"
            config = configs[name].copy()
            config.merge_from_dict({"randomness.seed": seed})
            options = config.pretty_text.splitlines()
            metrics = finished_run(work_dir, options)
            if metrics is None and not args.table_only:
                metrics = train_detector(config, work_dir)
                write_finished(work_dir, options, metrics)
            if metrics is not None:
                results[name].append(metrics)
                if ITERATIONS in metrics:  # elsewhere evaluations are numbered by epoch
                    curves[name].append(mask_ap_curve(work_dir))
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    table = accuracy_table(results)
    write_bytes(args.work_dir / "accuracy.md", f"{table}\n".encode())
    write_json(args.work_dir / "accuracy.json", results)
    print(table)
    runs = {name: found for name, found in curves.items() if found}
    if any(len(curve) > 1 for found in runs.values() for curve in found):
        seconds = {name: median(run[SECONDS] for run in results[name]) for name in runs}
        write_figure(learning_figure(runs, seconds), args.work_dir / "curves.png")


if __name__ == "__main__":
    main()
