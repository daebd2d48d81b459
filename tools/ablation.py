"""Train every row of an ablation with several seeds and print mean and spread (paper, Table 3).

python tools/ablation.py CONFIG --work-dir DIR --seeds 0 1 2 --cfg-options KEY=VALUE ...

Rows are the configs below configs/embedmask/ablations: what each changes of the COCO config is
changed in CONFIG. Runs that are finished in DIR are not repeated, so an interrupted command goes on
where it stopped. Several machines can share DIR with other seeds each; afterwards --table-only with
all seeds makes the table of them all.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

import mmdet_embedmask  # noqa: F401  says what is missing before anything else does
from mmdet_embedmask import cli
from mmdet_embedmask.benchmark.ablation import AblationRow, ablation_table, read_rows
from mmdet_embedmask.benchmark.training_runs import (
    final_metrics,
    finished_run,
    run_training,
    write_finished,
)
from mmdet_embedmask.files import write_bytes, write_json

_TOOLS = Path(__file__).resolve().parent
_CONFIGS = _TOOLS.parent / "configs" / "embedmask"


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.tool_parser(__doc__)
    parser.add_argument("config", type=Path, help="config that is trained")
    parser.add_argument("--work-dir", type=Path, required=True)
    parser.add_argument(
        "--rows",
        type=Path,
        nargs="+",
        default=sorted(_CONFIGS.glob("ablations/*.py")),
        help="configs of the rows (those of configs/embedmask/ablations)",
    )
    parser.add_argument(
        "--base",
        type=Path,
        default=_CONFIGS / "embedmask_r50_fpn_1x_coco.py",
        help="config that the rows differ from (%(default)s)",
    )
    parser.add_argument("--metafile", type=Path, default=_CONFIGS / "metafile.yml")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--table-only", action="store_true", help="train nothing")
    parser.add_argument("--cfg-options", nargs="+", default=[], help="key=value ..., for every run")
    args = parser.parse_args(argv)
    cli.check_files(parser, [args.config, args.base, args.metafile, *args.rows])
    names = [path.stem for path in (args.base, *args.rows)]
    if len(set(names)) < len(names):
        parser.error(f"--rows and --base need different file names, not {names}")
    return args


def run_options(args: argparse.Namespace, row: AblationRow, seed: int) -> list[str]:
    """The settings of one run, as ``--cfg-options`` takes them."""
    settings = [f"model.{key}={value}" for key, value in row.settings.items()]
    return [str(args.config), f"randomness.seed={seed}", *args.cfg_options, *settings]


def train_row(options: Sequence[str], work_dir: Path) -> dict[str, float]:
    """Train one row with one seed."""
    config, *settings = options
    command = [sys.executable, str(_TOOLS / "train.py"), config, "--work-dir", str(work_dir)]
    run_training([*command, "--cfg-options", *settings], work_dir)
    return final_metrics(work_dir)


def main(argv: Sequence[str] | None = None) -> None:
    """Train what is missing; print and write the table."""
    args = parse_args(argv)
    rows = read_rows(args.base, args.rows, args.metafile)
    results: dict[str, list[dict[str, float]]] = {row.name: [] for row in rows}
    runs = [(row, seed) for seed in args.seeds for row in rows]
    for row, seed in tqdm(runs, unit="run"):
        work_dir = args.work_dir / row.name / f"seed_{seed}"
        options = run_options(args, row, seed)
        try:
            metrics = finished_run(work_dir, options)
            if metrics is None and not args.table_only:
                metrics = train_row(options, work_dir)
                write_finished(work_dir, options, metrics)
        except ValueError as error:
            raise SystemExit(str(error)) from error
        if metrics is not None:
            results[row.name].append(metrics)
    table = ablation_table(rows, results)
    write_bytes(args.work_dir / "ablation.md", f"{table}\n".encode())
    write_json(args.work_dir / "ablation.json", results)
    print(table)


if __name__ == "__main__":
    main()
