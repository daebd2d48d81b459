"""Segment a video or a webcam: the video with masks drawn in, and predictions of every frame.

python tools/video_demo.py CHECKPOINT video.mp4 --out result.mp4 --json result.jsonl
python tools/video_demo.py CHECKPOINT 0 --show                     (webcam 0, q or Ctrl-C ends it)
python tools/video_demo.py CHECKPOINT video.mp4 --out result.mp4 --every 5 --max-frames 100

The model is any instance segmentor of MMDetection; the config comes from the checkpoint. The result
has the source's size and plays at its speed: with --every N it has an N-th of its frames a second.
Ctrl-C ends the recording: the files hold the frames so far. After an error, such as a full
disk, what is unfinished stays under a temporary name (result.unfinished-1f09b3c2.mp4) and replaces
nothing.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from tqdm import tqdm

import mmdet_embedmask  # noqa: F401  before MMDetection: it serves MMCV's operations
from mmdet_embedmask import cli
from mmdet_embedmask.files import JsonLines, file_identity, named_when_finished
from mmdet_embedmask.inference.demo_arguments import (
    check_demo_arguments,
    demo_parser,
    drawing_style,
    load_segmentor,
)
from mmdet_embedmask.inference.draw import draw_detections
from mmdet_embedmask.inference.results import FrameResult, predict_frames
from mmdet_embedmask.inference.video import (
    CODECS,
    VideoFile,
    VideoSource,
    check_display,
    frames_to_come,
    show_in_window,
)


def parse_args(argv: Sequence[str] | None) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    """Read the command line."""
    parser = demo_parser(__doc__, colors="class")
    parser.add_argument("source", help="video file, or number of a webcam")
    parser.add_argument("--out", type=Path, help=f"the video: a file in {', '.join(CODECS)}")
    parser.add_argument("--json", type=Path, help="predictions, a line of JSON a frame")
    parser.add_argument("--show", action="store_true", help="show in a window")
    parser.add_argument("--every", type=int, default=1, help="take every n-th frame (%(default)s)")
    parser.add_argument("--max-frames", type=int, help="end after so many predicted frames")
    args = parser.parse_args(argv)
    check_demo_arguments(parser, args)
    if not (args.out or args.json or args.show):
        parser.error("nothing would be kept: give --out FILE.mp4, --json FILE or --show")
    if args.out and args.out.suffix.lower() not in CODECS:
        parser.error(f"--out {args.out} must end in one of {', '.join(CODECS)}")
    outputs = [path for path in (args.out, args.json) if path]
    for path in outputs:
        if path.is_dir():
            parser.error(f"{path} is a folder, but must be a file to write")
        inputs = dict(source=Path(args.source), checkpoint=args.checkpoint, config=args.config)
        for name, other in inputs.items():
            if other is not None and file_identity(path) == file_identity(other):
                parser.error(f"{path} is the {name} itself: give another file")
    if len(outputs) > len(set(map(file_identity, outputs))):
        parser.error(f"--out and --json are the same file, {args.out}: give two")
    cli.check_counts(parser, args, dict(every=1, max_frames=1))
    try:
        if args.show:
            check_display()
    except ValueError as error:
        parser.error(f"--show: {error}")
    return parser, args


def keep(
    args: argparse.Namespace, results: Iterable[FrameResult], fps: float, progress: "tqdm[None]"
) -> None:
    """Draw, write and show results as they come, until they or the user end."""
    style = drawing_style(args)
    detections = 0
    with ExitStack() as stack:
        video = records = None
        if args.out:
            unfinished = stack.enter_context(named_when_finished(args.out))
            video = stack.enter_context(VideoFile(unfinished, fps))
        if args.json:
            unfinished = stack.enter_context(named_when_finished(args.json))
            records = stack.enter_context(JsonLines(unfinished))
        for result in results:
            if video is not None or args.show:
                draw_detections(result.frame, result.record["detections"], style)
            if video is not None:
                video.write(result.frame)
            if records is not None:
                records.add(result.record)
            detections += len(result.record["detections"])
            progress.set_postfix(detections=detections, refresh=False)
            progress.update()
            if args.show and not show_in_window(args.source, result.frame):
                return
        if not progress.n:
            raise SystemExit(f"error: {args.source} has no frame that can be read")


def main(argv: Sequence[str] | None = None) -> int:
    """Predict, draw and write; the exit code is 130 after Ctrl-C."""
    parser, args = parse_args(argv)
    try:
        source = VideoSource(args.source)
    except ValueError as error:
        parser.error(str(error))
    code = 0
    with source:
        segmentor = load_segmentor(parser, args)
        frames = islice(source.frames(args.every), args.max_frames)
        results = predict_frames(segmentor, frames, args.source, args.score_thr)
        total = frames_to_come(source.num_frames, args.every, args.max_frames)
        with tqdm(total=total, unit="frame", file=sys.stderr) as progress:
            try:
                keep(args, results, source.fps / args.every, progress)
            except KeyboardInterrupt:
                code = 130
            except OSError as error:
                raise SystemExit(f"error: {error}") from error
    if code == 0 and total is not None and progress.n < total and not args.show:
        print(
            f"warning: {args.source} should have {source.num_frames} frames, but ended after "
            f"{source.frames_read}: it may be damaged",
            file=sys.stderr,
        )
    written = ", ".join(str(path) for path in (args.out, args.json) if path) or args.source
    print(f"{written}: {progress.n} frames" + (" until it was interrupted" if code else ""))
    return code


if __name__ == "__main__":
    sys.exit(main())
