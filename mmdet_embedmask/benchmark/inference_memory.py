"""Peak memory of one inference: on the CPU in a process of its own, on a GPU in this one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .detectors import DetectorSpec, ImageSpec, prepare
from .peak_memory import PeakMemory, in_new_process, with_threads
from .stages import Subject, watched_methods


@dataclass(frozen=True)
class InferenceMemory:
    """Bytes beyond what was held before: resident, or allocated by torch on a GPU.

    Args:
        network: peak until masks are made, the network's own.
        whole: peak of the whole inference.
    """

    network: int
    whole: int


def inference_memory(
    spec: DetectorSpec, image: ImageSpec, score_thr: float | None, threads: int
) -> InferenceMemory:
    """Measure a detector's first inference in a new process; on a GPU its second, in this one.

    Torch counts what it allocates on a GPU, so that nothing that ran before hides a peak; and what
    the first inference sets up for all later ones is no part of it.

    Args:
        spec: the detector.
        image: what it runs on.
        score_thr: see `prepare`.
        threads: CPU threads of torch; on a GPU they stay as they are.
    """
    if spec.device != "cpu":
        subject = prepare(spec, image, score_thr)
        subject.predict()
        return memory_of(subject)
    return in_new_process(with_threads, threads, _measure, spec, image, score_thr)


def _measure(spec: DetectorSpec, image: ImageSpec, score_thr: float | None) -> InferenceMemory:
    return memory_of(prepare(spec, image, score_thr))


def memory_of(subject: Subject) -> InferenceMemory:
    """Memory of one prediction in this process."""
    watch = _MaskWatch(PeakMemory(on_gpu=subject.data["inputs"].is_cuda))
    with watched_methods(subject.model, watch):
        subject.predict(watch)
    whole = watch.memory.so_far()
    return InferenceMemory(whole if watch.network is None else watch.network, whole)


class _MaskWatch:
    """Notes the peak when masks begin to be made."""

    def __init__(self, memory: PeakMemory) -> None:
        self.memory = memory
        self.network: int | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Called around every stage."""
        if name == "masks" and self.network is None:
            self.network = self.memory.so_far()
        yield
