"""Segment images: predictions in COCO's results format, and the images with masks drawn in.

python tools/image_demo.py CHECKPOINT photo.jpg folder "shots/*.png" --out DIR
python tools/image_demo.py CHECKPOINT folder --recursive --out DIR --no-overlays --score-thr 0.05

The model is any instance segmentor of MMDetection; the config comes from the checkpoint.
DIR/predictions.json: a record an image with its detections; all detections in one list are what
pycocotools' loadRes reads. DIR/overlays: a picture an image. Until the end, and if the run is
interrupted, the records are in DIR/predictions.jsonl, one a line.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tqdm import tqdm

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask import cli
from mmdet_embedmask.files import (
    JsonLines,
    file_identity,
    lines_to_json,
    picture_name,
    write_png,
)
from mmdet_embedmask.inference.demo_arguments import (
    check_demo_arguments,
    demo_parser,
    drawing_style,
    load_segmentor,
)
from mmdet_embedmask.inference.draw import Style, draw_detections
from mmdet_embedmask.inference.results import ImageResult, SkippedFile, predict_files
from mmdet_embedmask.inputs.image_files import expand_inputs
from mmdet_embedmask.inputs.reading import displayable


def parse_args(
    argv: Sequence[str] | None,
) -> tuple[argparse.ArgumentParser, argparse.Namespace, list[Path]]:
    """Read the command line and find the files."""
    parser = demo_parser(__doc__, colors="instance")
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="file, folder or pattern")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--recursive", action="store_true", help="also folders inside folders")
    parser.add_argument("--batch-size", type=int, default=1, help="images a pass (%(default)s)")
    parser.add_argument("--no-overlays", action="store_true", help="write no pictures")
    parser.add_argument("--no-json", action="store_true", help="write no predictions.json")
    args = parser.parse_args(argv)
    check_demo_arguments(parser, args)
    cli.check_counts(parser, args, dict(batch_size=1))
    if args.no_overlays and args.no_json:
        parser.error("--no-overlays and --no-json leave nothing to write: drop one of them")
    cli.check_output_folder(parser, args.out, "--out")
    try:
        paths = expand_inputs(args.inputs, recursive=args.recursive, exclude=args.out)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    # Inputs that are named one by one may lie in the output folder.
    pictures = [overlay_path(args.out, index, path) for index, path in enumerate(paths)]
    inputs = set(map(file_identity, paths))
    lost = [picture for picture in pictures if file_identity(picture) in inputs]
    if lost and not args.no_overlays:
        parser.error(f"{lost[0]} would be replaced by a result: give another --out")
    return parser, args, paths


def overlay_path(out: Path, index: int, path: Path) -> Path:
    """Where the picture of an input goes."""
    return out / "overlays" / picture_name(index, path)


def write_overlay(out: Path, result: ImageResult, style: Style) -> None:
    """Draw and write one picture."""
    picture = displayable(result.image)
    draw_detections(picture, result.record["detections"], style)
    write_png(overlay_path(out, result.record["image_id"], result.path), picture)


def main(argv: Sequence[str] | None = None) -> int:
    """Predict, draw and write; the exit code is 0 if there was an image."""
    parser, args, paths = parse_args(argv)
    segmentor = load_segmentor(parser, args)
    lines = args.out / "predictions.jsonl"
    skipped: list[SkippedFile] = []
    images = detections = 0
    with ExitStack() as stack:
        records = None if args.no_json else stack.enter_context(JsonLines(lines))
        progress = stack.enter_context(tqdm(total=len(paths), unit="image", file=sys.stderr))
        for result in predict_files(segmentor, paths, args.score_thr, args.batch_size):
            progress.update()
            if isinstance(result, SkippedFile):
                skipped.append(result)
                continue
            if not args.no_overlays:
                write_overlay(args.out, result, drawing_style(args))
            # After its picture: a record says that all of its image is done.
            if records is not None:
                records.add(result.record)
            images += 1
            detections += len(result.record["detections"])
            progress.set_postfix(detections=detections)
    if not args.no_json:
        lines_to_json(lines, args.out / "predictions.json")
    for file in skipped:
        print(f"skipped: {file.path} {file.reason}", file=sys.stderr)
    print(
        f"{args.out}: {images} images, {detections} detections with a score of {args.score_thr} or "
        f"more, {len(skipped)} files skipped"
    )
    return 0 if images else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted: what was done so far is kept", file=sys.stderr)
        sys.exit(130)
