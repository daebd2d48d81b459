import pytest
import torch
from runs import CONFIGS
from tiny import build_model, data_batch

from mmdet_embedmask.benchmark import inference_memory as module
from mmdet_embedmask.benchmark import peak_memory
from mmdet_embedmask.benchmark.clocks import WallClock
from mmdet_embedmask.benchmark.detectors import DetectorSpec, ImageSpec, prepare
from mmdet_embedmask.benchmark.inference_memory import InferenceMemory, inference_memory, memory_of
from mmdet_embedmask.benchmark.stages import Subject


@pytest.fixture
def process(monkeypatch):
    """A process that holds 1000 bytes and held more before; the test says what it holds next."""
    held = dict(now=1000, peak=9000)
    monkeypatch.setattr(peak_memory, "reset_peak", lambda: held.update(peak=held["now"]))
    monkeypatch.setattr(peak_memory, "resident_memory", lambda: held["now"])
    monkeypatch.setattr(peak_memory, "peak_resident_memory", lambda: held["peak"])
    return held


@pytest.fixture
def subject():
    model = build_model().eval()
    data = model.data_preprocessor(data_batch([0], size=(64, 64)), training=False)
    return Subject("tiny", model, data, WallClock())


def test_the_networks_peak_is_that_until_masks_are_made(process, subject):
    head = subject.model.mask_head
    make = head.predict_by_feat

    def make_large(*args, **kwargs):
        process["peak"] = 7500
        return make(*args, **kwargs)

    head.predict_by_feat = make_large
    head.register_forward_hook(lambda *_: process.update(peak=5000))
    assert memory_of(subject) == InferenceMemory(network=4000, whole=6500)


def test_a_detector_without_masks_has_one_peak(process, subject, monkeypatch):
    def predict(inputs, samples):
        process["peak"] = 3000
        return samples

    monkeypatch.setattr(subject.model, "predict", predict)
    for sample in subject.data["data_samples"]:
        sample.pred_instances = sample.gt_instances[:0]
        del sample.pred_instances.masks
    assert memory_of(subject) == InferenceMemory(network=2000, whole=2000)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least", "most"), [("embedmask", 1, 30), ("condinst", 400, 600)])
def test_memory_of_the_masks_is_beyond_the_networks(name, least, most):
    """100 masks of 1000 x 1000 pixels: dense ones are 100 MB, and floats before that."""
    folder = CONFIGS if name == "embedmask" else CONFIGS / "peers"
    small = {"model.backbone.base_channels": 32, "model.neck.in_channels": [32, 64, 128, 256]}
    path = str(folder / f"{name}_r18_fpn_dsb2018.py")
    spec = DetectorSpec(path, cfg_options=small, instances=100, run_lengths=True)
    image = ImageSpec((128, 128), original_size=(1000, 1000))
    score_thr = prepare(spec, image).score_thr
    first, second = (inference_memory(spec, image, score_thr, threads=1) for _ in range(2))
    assert least * 1e6 < first.whole - first.network < most * 1e6
    # Nothing of it hangs on what the allocator happens to keep.
    assert abs(first.whole - second.whole) < 2e6


def test_a_new_process_has_the_threads_that_are_asked_for(monkeypatch, subject, process):
    threads = torch.get_num_threads()
    monkeypatch.setattr(module, "in_new_process", lambda function, *args: function(*args))
    monkeypatch.setattr(module, "prepare", lambda *given: given)
    monkeypatch.setattr(module, "memory_of", lambda given: (given, torch.get_num_threads()))
    try:
        given = DetectorSpec("tiny.py"), ImageSpec(), 0.25
        assert inference_memory(*given, 3) == (given, 3)
    finally:
        torch.set_num_threads(threads)


def test_on_a_gpu_it_is_the_second_inference_in_this_process(monkeypatch, subject):
    predictions = []
    monkeypatch.setattr(Subject, "predict", lambda self: predictions.append(self))
    monkeypatch.setattr(module, "in_new_process", None)
    monkeypatch.setattr(module, "prepare", lambda *_: subject)
    monkeypatch.setattr(module, "memory_of", lambda found: (found, len(predictions)))
    spec = DetectorSpec("tiny.py", device="cuda")
    assert inference_memory(spec, ImageSpec(), 0.25, threads=1) == (subject, 1)
