r"""Export a trained EmbedMask as one ONNX file, from an image to boxes and mask probabilities.

python tools/export_onnx.py CHECKPOINT OUT.onnx --verify IMAGE_OR_FOLDER
python tools/export_onnx.py CHECKPOINT OUT.onnx --config CONFIG --verify A.jpg B.jpg \
    --cfg-options model.test_cfg.score_thr=0.3

The file takes an image (H, W, 3) uint8 in blue, green, red, of any size, resized as the test
pipeline does; it normalises and pads by itself. It gives bboxes, scores, labels and mask
probabilities at a quarter of the padded size. mmdet_embedmask/export/onnx_detector.py makes masks
of them without torch. With --verify the file is written only if onnxruntime agrees with PyTorch, on
every image at its size in the test pipeline, and on the first one also cut to three quarters, with
one detection at least.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from numpy.typing import NDArray

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask import cli
from mmdet_embedmask.export.agreement import Agreement, check_agreement, compare, worst
from mmdet_embedmask.export.onnx_file import check_packages, file_metadata, onnx_bytes
from mmdet_embedmask.files import write_bytes
from mmdet_embedmask.inputs.images import ImageSource, config_class_names, open_images
from mmdet_embedmask.loading import build_detector, checkpoint_config, load_config


def _make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = cli.tool_parser(__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path, help="the file that is written, .onnx")
    parser.add_argument("--config", type=Path, help="(the one that the checkpoint carries)")
    parser.add_argument(
        "--verify", type=Path, nargs="+", default=[], metavar="PATH", help="images, or folders"
    )
    cli.add_cfg_options(parser)
    return parser


def read_config(parser: argparse.ArgumentParser, args: argparse.Namespace) -> Config:
    """Check the arguments, and read the config that they name."""
    cli.check_files(parser, [args.checkpoint, args.config])
    if args.out.suffix != ".onnx" or args.out.is_dir():
        parser.error(f"{args.out} must be a file that ends in .onnx")
    try:
        check_packages()
        if args.config:
            config = load_config(args.config, args.cfg_options)
        else:
            config = checkpoint_config(args.checkpoint, args.cfg_options)
    except ValueError as error:
        parser.error(str(error))
    cli.check_embed_mask(parser, config)
    return config


def open_all(
    parser: argparse.ArgumentParser, config: Config, paths: Sequence[Path]
) -> list[ImageSource]:
    """Open the images to verify with."""
    try:
        sources = [open_images(config, images=path) for path in paths]
        for source in sources:
            source.check(range(len(source)))
    except ValueError as error:
        parser.error(str(error))
    return sources


def network_inputs(sources: Sequence[ImageSource]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Name and (H, W, 3) of every image at the test pipeline's size; of the first, a part too."""
    first = True
    for source in sources:
        for index in range(len(source)):
            image = source[index]["inputs"].permute(1, 2, 0).numpy()
            yield source.path(index).name, image
            if first:
                height, width = (3 * side // 4 for side in image.shape[:2])
                yield f"{source.path(index).name} (part)", image[:height, :width]
                first = False


def verify(model: Any, content: bytes, sources: Sequence[ImageSource]) -> Agreement:
    """Compare the file with the model and print every image's agreement."""
    from onnxruntime import InferenceSession

    session = InferenceSession(content, providers=["CPUExecutionProvider"])
    agreements = []
    for name, image in network_inputs(sources):
        agreements.append(compare(model, session, np.ascontiguousarray(image)))
        print(f"{name}, {image.shape[0]} x {image.shape[1]}: {agreements[-1]}")
    return worst(agreements)


def main(argv: Sequence[str] | None = None) -> None:
    """Export, verify and write."""
    parser = _make_parser()
    args = parser.parse_args(argv)
    config = read_config(parser, args)
    sources = open_all(parser, config, args.verify)
    try:
        model = build_detector(config, args.checkpoint, "cpu")
        content = onnx_bytes(model, file_metadata(model, config, config_class_names(config)))
    except (ValueError, RuntimeError) as error:
        raise SystemExit(f"error: {error}") from error
    verdict = "not verified: give images with --verify"
    if sources:
        agreement = verify(model, content, sources)
        try:
            check_agreement(agreement)
        except ValueError as error:
            raise SystemExit(f"error: not written, {error}") from error
        verdict = f"verified in onnxruntime. {agreement}"
    write_bytes(args.out, content)
    print(f"{args.out}: {len(content) / 1e6:.1f} MB, {verdict}")


if __name__ == "__main__":
    main()
