"""Train every row of an ablation with several seeds and print mean and spread (paper, Table 3).

python tools/ablation.py CONFIG --work-dir DIR --seeds 0 1 2 --cfg-options max_iters=...

Rows are the configs below configs/embedmask/ablations: what each changes of the COCO config is
changed in CONFIG. Runs that are finished in DIR are not repeated, so an interrupted command goes on
where it stopped, and several machines can each be given other seeds.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

import mmdet_embedmask  # noqa: F401  says what is missing before anything else does
from mmdet_embedmask.benchmark.ablation import AblationRow, ablation_table, final_metrics, read_rows

TOOLS = Path(__file__).resolve().parent
CONFIGS = TOOLS.parent / "configs" / "embedmask"


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path, help="config that is trained")
    parser.add_argument("--work-dir", type=Path, required=True)
    parser.add_argument(
        "--rows",
        type=Path,
        nargs="+",
        default=sorted(CONFIGS.glob("ablations/*.py")),
        help="configs of the rows (those of configs/embedmask/ablations)",
    )
    parser.add_argument(
        "--base",
        type=Path,
        default=CONFIGS / "embedmask_r50_fpn_1x_coco.py",
        help="config that the rows differ from (%(default)s)",
    )
    parser.add_argument("--metafile", type=Path, default=CONFIGS / "metafile.yml")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--table-only", action="store_true", help="train nothing")
    parser.add_argument("--cfg-options", nargs="+", default=[], help="key=value ..., for every run")
    args = parser.parse_args(argv)
    for path in (args.config, args.base, args.metafile, *args.rows):
        if not path.is_file():
            parser.error(f"{path} is not a file")
    return args


def train(args: argparse.Namespace, row: AblationRow, seed: int, work_dir: Path) -> None:
    """Train one row with one seed; its output goes into a file beside its results."""
    settings = [f"model.{key}={value}" for key, value in row.settings.items()]
    command = [sys.executable, TOOLS / "train.py", args.config, "--work-dir", work_dir]
    command += ["--cfg-options", f"randomness.seed={seed}", *args.cfg_options, *settings]
    work_dir.mkdir(parents=True, exist_ok=True)
    log = work_dir / "output.txt"
    with log.open("w", encoding="utf-8") as output:
        code = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT).returncode
    if code or final_metrics(work_dir) is None:
        raise SystemExit(f"{row.name}, seed {seed}: training ended with code {code}, see {log}")


def main(argv: Sequence[str] | None = None) -> None:
    """Train what is missing; print and write the table."""
    args = parse_args(argv)
    rows = read_rows(args.base, args.rows, args.metafile)
    runs = [
        (row, seed, args.work_dir / row.name / f"seed_{seed}")
        for seed in args.seeds
        for row in rows
    ]
    if not args.table_only:
        for row, seed, work_dir in tqdm(runs, unit="run"):
            if final_metrics(work_dir) is None:
                train(args, row, seed, work_dir)
    results: dict[str, list[dict[str, float]]] = {row.name: [] for row in rows}
    for row, _, work_dir in runs:
        metrics = final_metrics(work_dir)
        if metrics is not None:
            results[row.name].append(metrics)
    table = ablation_table(rows, results)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    (args.work_dir / "ablation.md").write_text(table + "\n", encoding="utf-8")
    (args.work_dir / "ablation.json").write_text(json.dumps(results, indent=2) + "\n")
    print(table)


if __name__ == "__main__":
    main()
