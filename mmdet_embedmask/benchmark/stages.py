"""Where inference spends its time: a detector's own methods, with a clock between them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import KW_ONLY, dataclass, field
from functools import partial, wraps
from typing import Any, Literal, Protocol, get_args

import torch
from mmdet.structures import SampleList
from mmdet.structures.mask import encode_mask_results
from mmengine.model import BaseModel

from .clocks import Clock
from .turns import take_turns

StageName = Literal["backbone", "neck", "heads", "boxes", "mask head", "masks", "encoding", "rest"]
"""'heads' predicts classes and boxes (of Mask R-CNN the second stage too). 'boxes' decodes and
suppresses. 'mask head' is the network of the masks. 'masks' brings them to the original size and
reads bitmaps once (see `read_masks`). 'encoding' makes COCO's run lengths where they are asked for
and 'masks' has not made them. 'rest' is all else. RTMDet-Ins suppresses boxes in 'masks'; SOLOv2
has no boxes."""

STAGE_NAMES: tuple[StageName, ...] = get_args(StageName)

StageTimes = dict[StageName, float]
"""Milliseconds of each of STAGE_NAMES."""

TIMED_METHODS: tuple[tuple[str, str, StageName], ...] = (
    ("backbone", "forward", "backbone"),
    ("neck", "forward", "neck"),
    ("rpn_head", "forward", "heads"),
    ("rpn_head", "predict_by_feat", "boxes"),
    ("roi_head", "predict_bbox", "heads"),
    ("roi_head.bbox_head", "predict_by_feat", "boxes"),
    ("roi_head", "_mask_forward", "mask head"),
    ("roi_head.mask_head", "predict_by_feat", "masks"),
    ("bbox_head", "forward", "heads"),
    ("bbox_head", "predict_by_feat", "boxes"),
    ("bbox_head.mask_head", "forward", "mask head"),
    ("bbox_head", "_bbox_mask_post_process", "masks"),
    ("mask_head", "forward", "mask head"),
    ("mask_head", "predict_by_feat", "masks"),
)
"""Modules and methods of MMDetection's detectors, and the stage that each is."""


def read_masks(masks: Any) -> None:
    """Read bitmaps (K, H, W) once, as whoever wants them will; run lengths are left alone.

    The system maps a page only when it is first used. A bitmap whose empty parts were never written
    is returned early, and its first reader waits: that is time which the masks take.
    """
    if torch.is_tensor(masks) and masks.numel():
        # Of all reductions the one that takes hardly longer than the reading.
        masks.view(torch.uint8).max()


class StageWatch(Protocol):
    """Is told when a stage begins and ends."""

    def stage(self, name: StageName) -> AbstractContextManager[None]:
        """Entered around what belongs to the stage."""


@dataclass
class StageClock:
    """Assigns the time of one run to stages; where they are nested, to the inner one.

    Args:
        clock: takes the times.
    """

    clock: Clock
    _running: list[StageName] = field(default_factory=lambda: ["rest"])
    _labels: list[StageName] = field(default_factory=list)

    @contextmanager
    def stage(self, name: StageName) -> Iterator[None]:
        """Time what happens inside as this stage."""
        self._switch()
        self._running.append(name)
        try:
            yield
        finally:
            self._switch()
            self._running.pop()

    def _switch(self) -> None:
        self.clock.mark()
        self._labels.append(self._running[-1])

    def start(self) -> None:
        """Begin the run."""
        self.clock.mark()

    def stop(self) -> StageTimes:
        """End it, and tell its times."""
        self._switch()
        times: StageTimes = dict.fromkeys(STAGE_NAMES, 0.0)
        for name, milliseconds in zip(self._labels, self.clock.intervals(), strict=True):
            times[name] += milliseconds
        return times


@contextmanager
def watched_methods(model: BaseModel, watch: StageWatch) -> Iterator[None]:
    """Enter a stage of the watch in each of a detector's TIMED_METHODS that it has.

    Not within compiled code, which would be compiled anew for every watch.
    """
    with ExitStack() as stack:
        for path, method, stage in TIMED_METHODS:
            module = _module(model, path)
            if hasattr(module, method) and not _is_within_compiled(model, path, method):
                watched = _watched(getattr(module, method), stage, watch)
                # Afterwards the class's method serves again, or what stood before it: compiled.
                stack.callback(_restore, module, method, vars(module).get(method))
                setattr(module, method, watched)
        yield


def _restore(module: Any, method: str, own: Any) -> None:
    if own is None:
        delattr(module, method)
    else:
        setattr(module, method, own)


def _module(model: BaseModel, path: str) -> Any:
    module: Any = model
    for name in path.split("."):
        module = getattr(module, name, None)
    return module


def _is_within_compiled(model: BaseModel, path: str, method: str) -> bool:
    """Whether it is the forward pass of a module whose owner's forward pass is compiled."""
    owner = _module(model, path.rpartition(".")[0]) if "." in path else None
    return method == "forward" and hasattr(
        getattr(owner, "forward", None), "_torchdynamo_orig_callable"
    )


def _watched(method: Callable[..., Any], stage: StageName, watch: StageWatch) -> Callable[..., Any]:
    @wraps(method)
    def watched(*args: Any, **kwargs: Any) -> Any:
        with watch.stage(stage):
            return method(*args, **kwargs)

    return watched


@dataclass(frozen=True)
class Subject:
    """What is timed.

    Args:
        name: of the detector.
        model: any detector of MMDetection, in eval mode.
        data: images as the data preprocessor gives them: ``inputs`` and ``data_samples``.
        clock: fits the model's device.
        amp: run under autocast.
        run_lengths: masks are wanted as COCO's run lengths.
        score_thr: that gives a fixed number of instances; None: the number is not fixed.
    """

    name: str
    model: BaseModel
    data: dict[str, Any]
    clock: Clock
    _: KW_ONLY
    amp: bool = False
    run_lengths: bool = False
    score_thr: float | None = None

    @torch.no_grad()
    def predict(self, watch: StageWatch | None = None) -> SampleList:
        """Predict once; bitmaps are read, or encoded if run lengths are wanted.

        Args:
            watch: is told when either begins and ends.
        """
        inputs, samples = self.data["inputs"], self.data["data_samples"]
        with torch.autocast(inputs.device.type, enabled=self.amp):
            samples = self.model.predict(inputs, samples)
        for sample in samples:
            masks = sample.pred_instances.get("masks")
            if not torch.is_tensor(masks):
                continue
            name: StageName = "encoding" if self.run_lengths else "masks"
            with nullcontext() if watch is None else watch.stage(name):
                if self.run_lengths:
                    sample.pred_instances.masks = encode_mask_results(masks.cpu().numpy())
                else:
                    read_masks(masks)
        return samples


def mask_share(subject: Subject) -> float | None:
    """Mean part of the first image that a mask covers; None without bitmaps."""
    masks = subject.predict()[0].pred_instances.get("masks")
    if not torch.is_tensor(masks) or len(masks) == 0:
        return None
    return int(masks.count_nonzero()) / masks.numel()


def time_once(subject: Subject) -> tuple[StageTimes, SampleList]:
    """The times of one prediction, and the prediction."""
    clock = StageClock(subject.clock)
    with watched_methods(subject.model, clock):
        clock.start()
        samples = subject.predict(clock)
        return clock.stop(), samples


def time_stages(
    subjects: Sequence[Subject], runs: int, warmup: int
) -> list[tuple[list[StageTimes], int]]:
    """Time detectors in turns: see `take_turns`.

    Args:
        subjects: the detectors, each with its image.
        runs: measured runs of each, at least 1.
        warmup: runs of each before those, not kept.

    Returns:
        Of every subject the times of every run, and how many instances a run gave.

    Raises:
        ValueError: if there are too few runs.
    """
    steps = {str(index): partial(_time_and_count, each) for index, each in enumerate(subjects)}
    turns = take_turns(steps, runs, warmup).values()
    return [([times for times, _ in results], results[-1][1]) for results in turns]


def _time_and_count(subject: Subject) -> tuple[StageTimes, int]:
    times, samples = time_once(subject)
    return times, sum(len(sample.pred_instances) for sample in samples)
