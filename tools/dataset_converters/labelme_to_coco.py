"""Make a data set in COCO's format of images that were annotated with labelme.

python tools/dataset_converters/labelme_to_coco.py IMAGE_DIR OUT_DIR
python tools/dataset_converters/labelme_to_coco.py IMAGE_DIR OUT_DIR --classes cell debris

IMAGE_DIR holds images and, beside each, labelme's JSON file. OUT_DIR/train.json and
OUT_DIR/val.json name the images from IMAGE_DIR on; the images stay where they are. Polygons,
rectangles and circles become polygons; shapes of one label and one group id become one object.
"""

from collections.abc import Sequence
from pathlib import Path

from mmdet_embedmask import cli
from mmdet_embedmask.data.labelme import (
    annotated_classes,
    coco_content,
    read_labelme_files,
    split_images,
)
from mmdet_embedmask.files import write_json


def main(argv: Sequence[str] | None = None) -> None:
    """Read, split, write and print what a config needs."""
    parser = cli.tool_parser(__doc__)
    parser.add_argument("image_dir", type=Path)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--val-share", type=float, default=0.2, help="of the images (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the split (%(default)s)")
    parser.add_argument("--classes", nargs="+", help="names in order (all labels, sorted)")
    parser.add_argument("--force", action="store_true", help="replace what OUT_DIR holds")
    args = parser.parse_args(argv)
    if not args.image_dir.is_dir():
        parser.error(f"{args.image_dir} is not a folder")
    if not 0 < args.val_share < 1:
        parser.error(f"--val-share {args.val_share} must lie between 0 and 1")
    if args.out_dir.resolve() == args.image_dir.resolve():
        parser.error(f"{args.out_dir} holds labelme's files: name another folder to write into")
    outputs = [args.out_dir / f"{name}.json" for name in ("train", "val")]
    if (existing := [path for path in outputs if path.exists()]) and not args.force:
        parser.error(f"{existing[0]} exists: give --force to replace it, or another folder")
    files = sorted(args.image_dir.glob("*.json"))
    if not files:
        parser.error(f"{args.image_dir} holds no .json file: annotate its images with labelme")
    try:
        images = read_labelme_files(files)
        missing = [i.file_name for i in images if not (args.image_dir / i.file_name).is_file()]
        if missing:
            raise ValueError(f"{args.image_dir} lacks the images {', '.join(missing[:5])}")
        classes = tuple(args.classes or annotated_classes(images))
        parts = split_images(images, args.val_share, args.seed)
        datasets = [coco_content(part, classes) for part in parts]
    except ValueError as error:
        parser.error(str(error))
    for path, dataset in zip(outputs, datasets, strict=True):
        write_json(path, dataset)
        print(
            f"{path.stem}: {len(dataset['images'])} images, {len(dataset['annotations'])} objects"
        )
    print(f"classes={classes!r}")


if __name__ == "__main__":
    main()
