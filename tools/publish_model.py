"""Make a release folder of a trained or converted checkpoint, or verify one.

python tools/publish_model.py CHECKPOINT OUT_DIR --config CONFIG --dataset "COCO val2017"
python tools/publish_model.py CHECKPOINT OUT_DIR --config CONFIG --dataset DATASET --url https://HOST/FOLDER
python tools/publish_model.py --verify RELEASE_DIR

The folder holds the checkpoint as tensors alone, config, log, metrics, environment, an entry for
configs/embedmask/metafile.yml, a row for the model zoo's table, and an image with its prediction;
`--verify` checks all hashes and predicts that image again.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask import cli
from mmdet_embedmask.inputs.images import open_images
from mmdet_embedmask.loading import checkpoint_config
from mmdet_embedmask.release.folder import ZooFacts, publish
from mmdet_embedmask.release.verification import verify_release


def _make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = cli.tool_parser(__doc__)
    parser.add_argument("checkpoint", type=Path, nargs="?")
    parser.add_argument("out", type=Path, nargs="?", help="the release folder is made in it")
    parser.add_argument("--verify", type=Path, metavar="RELEASE_DIR", help="check this release")
    parser.add_argument("--config", help="of the model, in configs/embedmask/")
    parser.add_argument("--dataset", help="name of the data set that was evaluated on")
    parser.add_argument("--training-data", help="name of the training data (that of --dataset)")
    parser.add_argument("--source", default="this project", help="of the figures (%(default)s)")
    parser.add_argument("--url", help="folder that the release folder will be downloaded from")
    parser.add_argument("--work-dir", type=Path, help="folder of the run (the checkpoint's)")
    parser.add_argument("--metrics", type=Path, help="what tools/test.py wrote (the run's log)")
    parser.add_argument("--image", type=Path, help="to predict (the first of the test data)")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Publish or verify, and say what was done."""
    parser = _make_parser()
    args = parser.parse_args(argv)
    if args.verify:
        try:
            agreement = verify_release(args.verify)
        except (ValueError, OSError) as error:
            raise SystemExit(f"not verified: {error}") from error
        print(
            f"{args.verify}: verified. {agreement.detections} detections; largest difference of a "
            f"box {agreement.box:.3f} pixels, of a score {agreement.score:.5f}; lowest mask IoU "
            f"{agreement.mask_iou:.4f}"
        )
        return
    for name in ("checkpoint", "out", "config", "dataset"):
        if getattr(args, name) is None:
            parser.error(f"{name} is missing: give CHECKPOINT OUT_DIR --config --dataset")
    cli.check_files(parser, [args.checkpoint, Path(args.config), args.metrics, args.image])
    facts = ZooFacts(
        config=args.config,
        dataset=args.dataset,
        training_data=args.training_data or args.dataset,
        source=args.source,
        url=args.url,
    )
    try:
        image = args.image or open_images(checkpoint_config(args.checkpoint)).path(0)
        folder = publish(
            args.checkpoint,
            work_dir=args.work_dir or args.checkpoint.parent,
            out=args.out,
            image=image,
            facts=facts,
            metrics=args.metrics,
        )
    except (ValueError, TypeError) as error:
        parser.error(str(error))
    print(f"{folder}: released. Check it with: python tools/publish_model.py --verify {folder}")
    print((folder / "readme_row.md").read_text())


if __name__ == "__main__":
    main()
