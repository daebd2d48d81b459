"""Draw input, pixel embeddings, proposals and masks, embeddings in common colours (figure 1).

python tools/embedding_view.py CONFIG CHECKPOINT OUT_DIR --num 6 --part spatial_free
python tools/embedding_view.py CONFIG CHECKPOINT OUT_DIR --images FOLDER_OR_IMAGE
python tools/embedding_view.py CONFIG CHECKPOINT OUT_DIR --coco ANNOTATIONS --image-root FOLDER
"""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask import cli, files
from mmdet_embedmask.inspection import inspect_image
from mmdet_embedmask.visualization.drawing_arguments import (
    drawing_parser,
    open_embed_mask,
    progress,
)
from mmdet_embedmask.visualization.embedding_view import (
    EmbeddingPart,
    embedding_view,
    part_channels,
)


def main(argv: Sequence[str] | None = None) -> None:
    """Inspect, draw and write."""
    parser = drawing_parser(__doc__, num=6, tile=360)
    cli.add_model(parser)
    parser.add_argument("out", type=Path, help="folder of the pictures, one an image")
    parser.add_argument(
        "--part",
        choices=get_args(EmbeddingPart),
        default="both",
        help="channels that are coloured; positions outweigh the rest of both (%(default)s)",
    )
    args = parser.parse_args(argv)
    model, source, indices = open_embed_mask(parser, args)
    try:
        aware, free = model.mask_head.spatial_aware_dim, model.mask_head.spatial_free_dim
        part_channels(args.part, aware, aware + free)
    except ValueError as error:
        parser.error(f"--part {args.part}: {error}")
    for index in progress(indices):
        path = source.path(index)
        inspected = inspect_image(model, source.batch(index), args.score_thr)
        picture = embedding_view(
            source.image(index),
            inspected,
            mask_thr=model.mask_head.test_cfg.mask_thr,
            title=path.name,
            part=args.part,
            tile=args.tile,
        )
        files.write_png(args.out / files.picture_name(index, path), picture)
    print(
        f"{args.out}: {len(indices)} pictures, detections with a score of {args.score_thr} or more"
    )


if __name__ == "__main__":
    main()
