"""Draw two checkpoints side by side, with the mask IoU of every true instance (figure 4).

python tools/compare_checkpoints.py CONFIG_A CHECKPOINT_A CONFIG_B CHECKPOINT_B OUT_DIR
python tools/compare_checkpoints.py CONFIG A.pth CONFIG B.pth OUT_DIR --names before after \
    --coco ANNOTATIONS --image-root FOLDER

OUT_DIR/ious.json holds the numbers. The models may be any of MMDetection's that predict masks; both
must know the same classes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask import cli, files
from mmdet_embedmask.evaluation.matching import mean_iou
from mmdet_embedmask.inputs.images import config_class_names
from mmdet_embedmask.loading import build_detector, load_config
from mmdet_embedmask.visualization.comparison import Candidate, comparison, instance_ious
from mmdet_embedmask.visualization.drawing_arguments import (
    check_drawing_arguments,
    drawing_parser,
    open_source,
    progress,
)
from mmdet_embedmask.visualization.rows import dataset_row


def main(argv: Sequence[str] | None = None) -> None:
    """Predict with both, draw and write."""
    parser = drawing_parser(__doc__, num=6, tile=400)
    for side in ("_a", "_b"):
        cli.add_model(parser, side)
    parser.add_argument("out", type=Path, help="folder of the pictures, one an image")
    parser.add_argument("--names", nargs=2, default=("A", "B"), help="of the two (A B)")
    args = parser.parse_args(argv)
    paths = (args.config_a, args.checkpoint_a), (args.config_b, args.checkpoint_b)
    check_drawing_arguments(parser, args, [path for pair in paths for path in pair])
    if args.names[0] == args.names[1]:
        parser.error(f"--names {args.names[0]} {args.names[1]}: give two different names")
    configs = [load_config(config, args.cfg_options) for config, _ in paths]
    source, indices = open_source(parser, args, configs[0], annotated=True)
    if config_class_names(configs[1]) != source.class_names:
        parser.error(
            f"the configs differ in their classes: {source.class_names} and "
            f"{config_class_names(configs[1])}"
        )
    sources = [source.through(config) for config in configs]
    models = [
        build_detector(config, checkpoint, args.device)
        for config, (_, checkpoint) in zip(configs, paths, strict=True)
    ]
    images: list[dict[str, Any]] = []
    for index in progress(indices):
        path = source.path(index)
        rows = [
            dataset_row(model, of_model, index, args.score_thr)
            for model, of_model in zip(models, sources, strict=True)
        ]
        candidates = tuple(
            Candidate(name, row.prediction) for name, row in zip(args.names, rows, strict=True)
        )
        image, truth = rows[0].image, rows[0].truth
        picture = comparison(image, truth, candidates, title=path.name, tile=args.tile)
        files.write_png(args.out / files.picture_name(index, path), picture)
        ious = {c.name: instance_ious(truth, c.prediction) for c in candidates}
        means = {name: mean_iou(values) for name, values in ious.items()}
        values = {name: [float(value) for value in ious[name]] for name in ious}
        images.append(dict(image=str(path), mean_iou=means, ious=values))
    pooled = {
        name: mean_iou(np.concatenate([image["ious"][name] for image in images]))
        for name in args.names
    }
    files.write_json(
        args.out / "ious.json",
        dict(score_thr=args.score_thr, mean_iou_of_instances=pooled, images=images),
    )
    shown = ", ".join(f"{name} {value:.3f}" for name, value in pooled.items())
    print(f"{args.out}: {len(images)} pictures and ious.json; mean mask IoU of instances: {shown}")


if __name__ == "__main__":
    main()
