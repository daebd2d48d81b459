"""The parts of the GPU report: each measures and tells its figures as tables."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from statistics import median
from typing import Any

import torch

from ..functional.dense_masks import MaskRecipe
from .clocks import clock_for, milliseconds
from .detectors import DetectorSpec, ImageSpec, check_instances, prepare
from .inference_memory import memory_of
from .machine import Device
from .mask_stage import FLOOR, MaskStage, make_and_read, mask_peak, mask_stages, write_output
from .peak_memory import free_memory, peak_of
from .products import measure_ceilings, measure_products
from .report_scale import BOXES_ALONE, COND_INST, EMBED_MASK, Detector, Scale
from .side_by_side import Measured, Spread
from .stages import STAGE_NAMES, StageTimes, Subject, mask_share, time_once
from .synchronisations import count_synchronisations
from .training_steps import Trainer, TrainingSpec, training_seconds
from .turns import Attempts, NotMeasured, take_turns


@dataclass(frozen=True)
class Table:
    """A table with the line above it.

    Args:
        meaning: what each figure is.
        header: of the columns.
        rows: as many cells each.
    """

    meaning: str
    header: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class PartResult:
    """What a part has measured.

    Args:
        tables: for readers.
        figures: for programs; what `json` can write.
        not_measured: what is missing, and why.
    """

    tables: list[Table]
    figures: Any
    not_measured: list[NotMeasured] = field(default_factory=list)


@dataclass(frozen=True)
class Setup:
    """What all parts measure on.

    Args:
        device: that is measured on.
        scale: of everything.
        detectors: in the tables' order.
    """

    device: Device
    scale: Scale
    detectors: tuple[Detector, ...]

    @property
    def on_gpu(self) -> bool:
        """Whether there is a GPU, whose memory and waits can be told."""
        return self.device != "cpu"


@dataclass(frozen=True)
class ReportPart:
    """A part of the report.

    Args:
        title: of its section.
        measure: does the work.
    """

    title: str
    measure: Callable[[Setup], PartResult]


def measure_machine(setup: Setup) -> PartResult:
    """What the machine can do at best."""
    scale = setup.scale
    ceilings = measure_ceilings(setup.device, scale.copied, scale.product_side)
    ratio = ceilings.float64 / ceilings.float32
    rows = [
        ["copy (read and write)", f"{ceilings.copy / 1e9:.1f} GB/s"],
        ["product of matrices, float32", f"{ceilings.float32 / 1e12:.3f} TFLOP/s"],
        ["product of matrices, float64", f"{ceilings.float64 / 1e12:.3f} TFLOP/s"],
        ["float64 / float32", f"{ratio:.3f} (1 / {1 / ratio:.1f})"],
    ]
    meaning = (
        f"What the device reaches: a copy of {scale.copied / 1e6:.0f} MB, products of two matrices "
        f"of {scale.product_side} x {scale.product_side}; TF32 is off, a multiply and an add count "
        "apart."
    )
    return PartResult([Table(meaning, ["", "speed"], rows)], asdict(ceilings))


def measure_float64(setup: Setup) -> PartResult:
    """What EmbedMask's float64 products cost."""
    rows, figures = [], []
    for area in setup.scale.areas:
        stage = _mask_stage(setup, area)
        whole = partial(make_and_read, mask_stages(stage)[EMBED_MASK])
        times = take_turns({"whole": _timed(whole, setup)}, setup.scale.runs, setup.scale.warmup)
        whole_ms = median(times["whole"])
        for product in measure_products(stage):
            slower = product.float64_ms / product.float32_ms
            rows.append(
                [
                    product.name,
                    _percent(area),
                    product.shape,
                    f"{product.float64_ms:.3f}",
                    f"{product.float32_ms:.3f}",
                    f"{slower:.1f}",
                    f"{100 * product.float64_ms / whole_ms:.0f}% of {whole_ms:.2f} ms",
                ]
            )
            figures.append(asdict(product) | dict(area=area, mask_stage_ms=whole_ms))
    meaning = (
        f"The matrix products that EmbedMask does in float64, alone, of {setup.scale.instances} "
        "objects of that part of the image: milliseconds as they stand, and of the same products "
        "in float32 without TF32. The last column is what float64 can matter at most: its share of "
        "the whole mask stage (bitmaps)."
    )
    header = ["product", "objects of", "matrices", "float64 (ms)", "float32 (ms)"]
    header += ["float64 / float32", "share of the mask stage"]
    return PartResult([Table(meaning, header, rows)], figures)


def measure_masks(setup: Setup) -> PartResult:
    """The mask stage alone."""
    results = [_masks_of(_mask_stage(setup, area), setup) for area in setup.scale.areas]
    return PartResult(
        [table for result in results for table in result.tables],
        [figure for result in results for figure in result.figures],
        [missing for result in results for missing in result.not_measured],
    )


def _masks_of(stage: MaskStage, setup: Setup) -> PartResult:
    attempts = Attempts()
    makers = {FLOOR: partial(write_output, stage)} | mask_stages(stage)
    steps = {name: _timed(partial(make_and_read, make), setup) for name, make in makers.items()}
    times = take_turns(steps, setup.scale.runs, setup.scale.warmup, attempts)
    rows, figures = [], []
    for name, runs in times.items():
        peak = None
        if setup.on_gpu:
            with attempts.attempt(name):
                peak = mask_peak(makers[name])
        figures.append(dict(name=name, area=stage.area, times_ms=runs, memory_bytes=peak))
        rows.append(
            [name, Spread.of(runs).text(2), _ratio(runs, times.get(FLOOR)), _megabytes(peak)]
        )
    meaning = (
        f"From the pixel tower's output to {stage.instances} masks of {_by(stage.size)}, bitmaps "
        f"read once, of objects of {_percent(stage.area)} of the image: milliseconds, "
        f"{_of_runs(setup.scale)}; multiples of merely writing as many pixels; peak GPU memory "
        "beyond the inputs. Pycocotools encodes on the CPU."
    )
    header = ["mask stage", "ms", "times the writing", "peak memory (MB)"]
    missing = [
        replace(each, name=f"{each.name}, objects of {_percent(stage.area)}")
        for each in attempts.not_measured
    ]
    return PartResult([Table(meaning, header, rows)], figures, missing)


@dataclass(frozen=True)
class InferenceMode:
    """How the detectors run.

    Args:
        batch: which of the scale's batches.
        amp: under autocast.
        compile: by torch.compile.
    """

    batch: int = 0
    amp: bool = False
    compile: bool = False


@dataclass(frozen=True)
class InferenceFigures:
    """Of one detector.

    Args:
        measured: times of all runs, memory on a GPU.
        synchronisations: waits of the host in one run, on a GPU.
    """

    measured: Measured
    synchronisations: int | None

    def to_json(self) -> dict[str, Any]:
        """What `json` can write."""
        return self.measured.to_json() | dict(synchronisations=self.synchronisations)


def measure_inference(setup: Setup, mode: InferenceMode) -> PartResult:
    """Whole inference of all detectors."""
    attempts, figures = Attempts(), []
    # Compiled code is kept by function, and detectors share functions: each is alone.
    groups = [[one] for one in setup.detectors] if mode.compile else [setup.detectors]
    for group in groups:
        figures += _infer(setup, mode, group, attempts)
        if mode.compile:
            torch._dynamo.reset()
        free_memory()
    table = inference_table(figures, setup, mode)
    return PartResult([table], [each.to_json() for each in figures], attempts.not_measured)


def _infer(
    setup: Setup, mode: InferenceMode, group: Sequence[Detector], attempts: Attempts
) -> list[InferenceFigures]:
    scale, subjects = setup.scale, {}
    image = ImageSpec(scale.size, number=scale.batches[mode.batch])
    for detector in group:
        spec = DetectorSpec(
            detector.config,
            cfg_options=_options(detector, scale),
            instances=scale.instances,
            device=setup.device,
            amp=mode.amp,
            compile=mode.compile,
            prior_margin=scale.prior_margin,
            compile_backend=scale.compile_backend,
        )
        with attempts.attempt(detector.name):
            subject = replace(prepare(spec, image), name=detector.name)
            check_instances(subject, scale.instances)
            subjects[detector.name] = subject
    steps = {name: partial(_stage_times, subject) for name, subject in subjects.items()}
    figures = []
    for name, runs in take_turns(steps, scale.runs, scale.warmup, attempts).items():
        with attempts.attempt(name):
            figures.append(_inference_figures(subjects[name], runs, setup))
    return figures


def _stage_times(subject: Subject) -> StageTimes:
    return time_once(subject)[0]


def _inference_figures(subject: Subject, runs: list[StageTimes], setup: Setup) -> InferenceFigures:
    memory = synchronisations = None
    if setup.on_gpu:
        memory = memory_of(subject)
        with count_synchronisations() as counted:
            subject.predict()
        synchronisations = counted.count
    images = len(subject.data["data_samples"])
    measured = Measured(
        subject.name,
        runs=runs,
        instances=images * setup.scale.instances,
        mask_share=mask_share(subject),
        parameters=sum(parameter.numel() for parameter in subject.model.parameters()),
        memory=memory,
    )
    return InferenceFigures(measured, synchronisations)


def inference_table(
    figures: Sequence[InferenceFigures], setup: Setup, mode: InferenceMode
) -> Table:
    """A row a detector."""
    scale, batch = setup.scale, setup.scale.batches[mode.batch]
    totals = {each.measured.name: each.measured.total().p50 for each in figures}
    stages = [
        stage
        for stage in STAGE_NAMES
        if any(each.measured.stage(stage).maximum > 0 for each in figures)
    ]
    rows = []
    for each in figures:
        measured, total, memory = each.measured, each.measured.total(), each.measured.memory
        waits, share = each.synchronisations, each.measured.mask_share
        rows.append(
            [
                measured.name,
                total.text(1),
                f"{total.p50 / batch:.1f}",
                f"{total.p50 / totals[BOXES_ALONE]:.2f}" if BOXES_ALONE in totals else "",
                *(f"{measured.stage(stage).p50:.1f}" for stage in stages),
                "" if share is None else _percent(share),
                _megabytes(None if memory is None else memory.network),
                _megabytes(None if memory is None else memory.whole),
                "" if waits is None else f"{waits / batch:.1f}",
            ]
        )
    meaning = (
        f"{batch} x {_by(scale.size)}, {scale.instances} instances in each image: milliseconds of "
        f"the whole, {_of_runs(scale, in_turns=not mode.compile)}; by the image; as a multiple of "
        "FCOS, which has no masks; of the stages (medians; 'masks' makes bitmaps of the image's "
        "size and reads them once). How much of the image a mask covers. Peak GPU memory beyond "
        "model and images, until masks are made and of the whole. How often the host waits for "
        "the GPU, an image, as far as torch tells."
    )
    header = ["detector", "whole (ms)", "an image (ms)", "of FCOS", *stages, "masks cover"]
    header += ["memory, network (MB)", "whole (MB)", "waits"]
    return Table(meaning, header, rows)


def measure_training(setup: Setup, amp: bool) -> PartResult:
    """Training steps of all detectors."""
    attempts, scale = Attempts(), setup.scale
    trainers: dict[str, Trainer] = {}
    for detector in setup.detectors:
        options = _options(detector, scale)
        with attempts.attempt(detector.name):
            spec = TrainingSpec(detector.config, options, setup.device, amp)
            trainers[detector.name] = Trainer(spec, scale.training)
    steps = {name: partial(_step_seconds, trainer, setup) for name, trainer in trainers.items()}
    times = take_turns(steps, scale.training_runs, scale.training_warmup, attempts)
    rows, figures = [], []
    for name, runs in times.items():
        peak = None
        if setup.on_gpu:
            with attempts.attempt(name):
                peak = peak_of(trainers[name].two_steps, on_gpu=True)
        figures.append(dict(name=name, seconds=runs, memory_bytes=peak))
        memory = "" if peak is None else f"{peak / 1e9:.2f}"
        rows.append([name, Spread.of(runs).text(3), _ratio(runs, times.get(COND_INST)), memory])
    batch = scale.training
    meaning = (
        f"{batch.images} images of {_by(batch.size)} with {batch.instances} objects each: seconds "
        f"of an iteration, median (lowest to highest) of {scale.training_runs} in turns after "
        f"{scale.training_warmup}; as a multiple of CondInst; peak GPU memory beyond model "
        "and optimizer."
    )
    header = ["detector", "s / iteration", "of CondInst", "peak memory (GB)"]
    return PartResult([Table(meaning, header, rows)], figures, attempts.not_measured)


def _step_seconds(trainer: Trainer, setup: Setup) -> float:
    return training_seconds(trainer, clock_for(torch.device(setup.device)))


def _timed(run: Callable[[], object], setup: Setup) -> Callable[[], float]:
    """With a new clock each time: one that an error has stopped keeps its marks."""
    return lambda: milliseconds(run, clock_for(torch.device(setup.device)))


def _mask_stage(setup: Setup, area: float) -> MaskStage:
    scale = setup.scale
    return MaskStage(
        instances=scale.instances,
        area=area,
        img_shape=scale.size,
        size=scale.size,
        recipe=MaskRecipe(0.5),
        device=setup.device,
    )


def _options(detector: Detector, scale: Scale) -> dict[str, Any]:
    return detector.small if scale.small else {}


def _ratio(values: Sequence[float], reference: Sequence[float] | None) -> str:
    return "" if reference is None else f"{median(values) / median(reference):.2f}"


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:.0f}"


def _percent(part: float) -> str:
    return f"{100 * part:.3g}%"


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _of_runs(scale: Scale, in_turns: bool = True) -> str:
    how = "in turns" if in_turns else "one detector after the other"
    return f"median (lowest to highest) of {scale.runs} runs after {scale.warmup}, {how}"


def _inference_part(mode: InferenceMode) -> ReportPart:
    how = "mixed precision (autocast)" if mode.amp else "float32"
    images = "several images at once" if mode.batch else "one image"
    title = f"Inference, {images}, {how}{', torch.compile' if mode.compile else ''}"
    return ReportPart(title, partial(measure_inference, mode=mode))


INFERENCE_PARTS = {
    "inference": InferenceMode(),
    "inference-amp": InferenceMode(amp=True),
    "batch": InferenceMode(batch=1),
    "batch-amp": InferenceMode(batch=1, amp=True),
    "inference-compiled": InferenceMode(compile=True),
    "batch-compiled": InferenceMode(batch=1, compile=True),
}

PARTS = {
    "ceilings": ReportPart("What the machine can do", measure_machine),
    "float64": ReportPart("What float64 costs EmbedMask", measure_float64),
    "masks": ReportPart("The mask stage alone", measure_masks),
    "training": ReportPart("Training, float32", partial(measure_training, amp=False)),
    "training-amp": ReportPart("Training, mixed precision", partial(measure_training, amp=True)),
    **{name: _inference_part(mode) for name, mode in INFERENCE_PARTS.items()},
}
"""By name, in the order in which they are measured: what takes long comes last."""
