"""Rank images by lost and split instances and low mask IoU, as an HTML page (figure 6).

python tools/worst_cases.py CONFIG CHECKPOINT OUT_DIR
python tools/worst_cases.py CONFIG CHECKPOINT OUT_DIR --coco ANNOTATIONS --image-root FOLDER

Open OUT_DIR/index.html. OUT_DIR/ranking.json holds the numbers.
"""

from collections.abc import Sequence
from pathlib import Path

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask import cli, files
from mmdet_embedmask.evaluation.verdict import judge, rank
from mmdet_embedmask.loading import build_detector, load_config
from mmdet_embedmask.visualization.drawing_arguments import (
    check_drawing_arguments,
    drawing_parser,
    open_source,
    progress,
)
from mmdet_embedmask.visualization.layout import picture_size, resized
from mmdet_embedmask.visualization.rows import dataset_row
from mmdet_embedmask.visualization.worst_cases import (
    THUMBNAIL,
    Case,
    case_picture,
    worst_cases_page,
)


def main(argv: Sequence[str] | None = None) -> None:
    """Predict, judge, draw and write."""
    parser = drawing_parser(__doc__, num=None, tile=400)
    cli.add_model(parser)
    parser.add_argument("out", type=Path, help="folder of the page and its pictures")
    args = parser.parse_args(argv)
    check_drawing_arguments(parser, args, [args.config, args.checkpoint])
    config = load_config(args.config, args.cfg_options)
    source, indices = open_source(parser, args, config, annotated=True)
    model = build_detector(config, args.checkpoint, args.device)
    cases: list[Case] = []
    for index in progress(indices):
        path = source.path(index)
        row = dataset_row(model, source, index, args.score_thr)
        verdict = judge(row.truth, row.prediction)
        picture = case_picture(row, verdict, title=path.name, tile=args.tile)
        file = files.picture_name(index, path)
        files.write_png(args.out / "pictures" / file, picture)
        small = resized(picture, picture_size(picture.shape, THUMBNAIL))
        files.write_png(args.out / "thumbnails" / file, small)
        cases.append(Case(path.name, file, verdict))
    # Only the numbers are kept of each image: a large set has no room for its pictures in memory.
    cases = [cases[position] for position in rank([case.verdict for case in cases])]
    note = f"{args.checkpoint.name}, predictions with a score of {args.score_thr} or more"
    files.write_bytes(args.out / "index.html", worst_cases_page(cases, note).encode())
    ranking = [dict(image=case.name, picture=case.file) | case.verdict.numbers() for case in cases]
    files.write_json(args.out / "ranking.json", dict(score_thr=args.score_thr, images=ranking))
    lost = sum(case.verdict.lost for case in cases)
    total = sum(len(case.verdict.outcomes) for case in cases)
    print(f"{args.out / 'index.html'}: {len(cases)} images, {lost} of {total} instances lost")


if __name__ == "__main__":
    main()
