import mmap
from contextlib import contextmanager
from itertools import accumulate

import pytest
import torch
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from pycocotools import mask as coco_mask
from runs import CONFIGS
from tiny import build_model, data_batch
from torch import nn

from mmdet_embedmask.benchmark import stages
from mmdet_embedmask.benchmark.clocks import WallClock, clock_for
from mmdet_embedmask.benchmark.detectors import DetectorSpec, ImageSpec, prepare
from mmdet_embedmask.benchmark.stages import (
    STAGE_NAMES,
    StageClock,
    Subject,
    mask_share,
    read_masks,
    time_once,
    time_stages,
    watched_methods,
)
from mmdet_embedmask.functional.mask_prediction import _empty_masks

# Of pycocotools, about its own arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PEERS = CONFIGS / "peers"


def subject_of(model, batch, **options):
    data = model.data_preprocessor(batch, training=False)
    return Subject("tiny", model, data, clock_for(data["inputs"].device), **options)


def real_masks():
    """A model whose untrained masks are neither empty nor full."""
    return build_model(bbox_head=dict(prior_margin=0.4)).eval()


def resized_batch(images=2):
    """Images of half their original size, which is no multiple of anything."""
    batch = data_batch([0] * images, size=(61, 77))
    for sample in batch["data_samples"]:
        sample.set_metainfo(dict(ori_shape=(122, 154), scale_factor=(0.5, 0.5)))
    return batch


@pytest.mark.parametrize("amp", [False, True])
def test_timing_changes_nothing_of_the_prediction(amp):
    subject = subject_of(real_masks(), resized_batch(), amp=amp)
    with torch.no_grad(), torch.autocast("cpu", enabled=amp):
        expected = [s.pred_instances for s in subject.model(**subject.data, mode="predict")]
        expected = [found[:] for found in expected]
    times, samples = time_once(subject)
    for found, sample in zip(expected, samples, strict=True):
        assert len(found) == 10
        for key in ("bboxes", "scores", "labels", "masks"):
            assert torch.equal(sample.pred_instances[key], found[key]), key
        assert 0.01 < found.masks.float().mean() < 0.5
    assert tuple(times) == STAGE_NAMES
    ran = {name for name, milliseconds in times.items() if milliseconds > 0}
    assert ran == set(STAGE_NAMES) - {"encoding"}
    # Nothing of the clock is left behind.
    assert not [m for m in subject.model.modules() if "forward" in vars(m)]


def test_run_lengths_are_encoded_where_they_are_wanted():
    bitmaps = subject_of(real_masks(), resized_batch(1))
    masks = bitmaps.predict()[0].pred_instances.masks
    assert 0.01 < masks.float().mean() < 0.5
    encoded = subject_of(bitmaps.model, resized_batch(1), run_lengths=True)
    times, (sample,) = time_once(encoded)
    assert times["encoding"] > 0
    decoded = torch.from_numpy(coco_mask.decode(sample.pred_instances.masks)).permute(2, 0, 1)
    assert torch.equal(decoded.bool(), masks)
    # EmbedMask's own need no encoding.
    bitmaps.model.mask_head.test_cfg.mask_format = "rle"
    times, (own,) = time_once(encoded)
    assert times["encoding"] == 0
    assert own.pred_instances.masks == sample.pred_instances.masks


class Recorder:
    """Notes the stages in their order, inner ones after a dot."""

    def __init__(self):
        self.entered, self.running = [], []

    @contextmanager
    def stage(self, name):
        self.running.append(name)
        self.entered.append(".".join(self.running))
        yield
        self.running.pop()


RESNET = {"model.backbone.base_channels": 32, "model.neck.in_channels": [32, 64, 128, 256]}
SMALL = {
    "condinst": RESNET,
    "solov2": RESNET | {"model.mask_head.stacked_convs": 1},
    "mask-rcnn": RESNET | {"model.roi_head.bbox_head.fc_out_channels": 16},
    "rtmdet": {
        "model.backbone.deepen_factor": 0.167,
        "model.backbone.widen_factor": 0.125,
        "model.neck.in_channels": [32, 64, 128],
        "model.neck.out_channels": 16,
        "model.bbox_head.in_channels": 16,
        "model.bbox_head.feat_channels": 16,
    },
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("condinst", ["heads", "boxes", "mask head", "masks"]),
        ("solov2", ["mask head", "masks"]),
        # The second "heads" are those of the boxes that the first propose.
        ("mask-rcnn", ["heads", "boxes", "heads", "heads.boxes", "mask head", "masks"]),
        # Masks are made of the boxes that remain, which "boxes" asks for.
        ("rtmdet", ["heads", "heads.mask head", "boxes", "boxes.masks"]),
    ],
)
def test_other_detectors_run_in_the_same_stages(monkeypatch, name, expected):
    def pooled(extractor, features, rois, *_):
        return rois.new_zeros(
            len(rois), extractor.out_channels, *extractor.roi_layers[0].output_size
        )

    # It needs torchvision or compiled MMCV, and is no stage.
    monkeypatch.setattr(SingleRoIExtractor, "forward", pooled)
    config = str(PEERS / f"{name}_r18_fpn_dsb2018.py")
    if name == "rtmdet":
        config = "mmdet::rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py"
    subject = prepare(
        DetectorSpec(config, cfg_options=SMALL[name], instances=5), ImageSpec((64, 96))
    )
    recorder = Recorder()
    with watched_methods(subject.model, recorder):
        (sample,) = subject.predict(recorder)
    # At last the masks are read.
    assert recorder.entered == ["backbone", "neck", *expected, "masks"]
    assert len(sample.pred_instances) == 5


def test_bitmaps_are_read_within_the_time_of_the_masks(monkeypatch):
    read = []
    recorder = Recorder()
    monkeypatch.setattr(
        stages, "read_masks", lambda masks: read.append((masks.shape, list(recorder.running)))
    )
    subject_of(build_model().eval(), resized_batch()).predict(recorder)
    assert read == [((10, 122, 154), ["masks"])] * 2


def test_reading_touches_every_page():
    resource = pytest.importorskip("resource")
    if not (hasattr(resource, "RUSAGE_THREAD") and hasattr(mmap, "MADV_DONTNEED")):
        pytest.skip("this system does not count the page faults of a thread")
    memory = mmap.mmap(-1, 2**26, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    masks = torch.frombuffer(memory, dtype=torch.bool).view(4, 4096, 4096)

    def faults(read):
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
        read()
        return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # all faults are this thread's
    try:
        every_page = faults(lambda: memory[:: mmap.PAGESIZE])
        memory.madvise(mmap.MADV_DONTNEED)
        first, second = (faults(lambda: read_masks(masks)) for _ in range(2))
        untouched = _empty_masks((4, 4096, 4096), torch.device("cpu"))
        unread = faults(lambda: read_masks(untouched))
    finally:
        torch.set_num_threads(threads)
    if not every_page:
        pytest.skip("this system counts no page faults")
    # Python's own memory may have some, too.
    assert first >= 0.9 * every_page and second <= 0.1 * every_page
    # As many as there are pages, of which huge ones have 2 MiB.
    assert unread >= 2**26 // 2**21
    # What has no pixels, and what has no bitmaps.
    read_masks(masks[:0])
    read_masks([dict(size=[2, 2], counts=b"04")])


def test_time_goes_to_the_innermost_stage():
    ticks = iter(accumulate([0, 1, 2, 4, 8, 16, 32]))
    clock = StageClock(WallClock(lambda: next(ticks) / 1000))
    clock.start()
    with clock.stage("boxes"):  # after 1 ms
        with clock.stage("masks"):  # after 2 ms of boxes
            pass  # 4 ms
        # 8 ms of boxes again
    # 16 ms
    times = clock.stop()
    assert times["boxes"] == pytest.approx(2 + 8)
    assert times["masks"] == pytest.approx(4)
    assert times["rest"] == pytest.approx(1 + 16)


def test_methods_are_restored_after_an_error():
    model = build_model().eval()

    def fail(*_):
        raise RuntimeError("out of order")

    hook = model.mask_head.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="out of order"):
        time_once(subject_of(model, resized_batch(1)))
    hook.remove()
    assert "forward" not in vars(model.mask_head) and "predict_by_feat" not in vars(model.bbox_head)
    with watched_methods(model, StageClock(WallClock())):
        assert "forward" in vars(model.mask_head)


def test_nothing_is_watched_within_compiled_code():
    """It would be compiled anew for every watch; RTMDet-Ins has such a mask head."""
    compiled = torch.compile(lambda: None, backend="eager")
    model = nn.Module()
    model.bbox_head = nn.Module()
    model.bbox_head.forward = compiled
    model.bbox_head.mask_head = nn.Module()
    model.mask_head = nn.Module()
    with watched_methods(model, Recorder()):
        watched = [
            name for name, module in model.named_modules() if hasattr(module.forward, "__wrapped__")
        ]
        assert "forward" not in vars(model.bbox_head.mask_head)
    assert watched == ["bbox_head", "mask_head"]
    assert model.bbox_head.forward is compiled and "forward" not in vars(model.mask_head)


def test_every_run_of_a_compiled_detector_is_compiled():
    ran = []

    def backend(graph, inputs):
        def run(*args):
            ran.append(len(ran))
            return graph.forward(*args)

        return run

    model = build_model().eval()
    model.mask_head.forward = torch.compile(model.mask_head.forward, backend=backend)
    subject = subject_of(model, resized_batch(1))
    counts = []
    for _ in range(3):
        time_once(subject)
        counts.append(len(ran))
    assert 0 < counts[0] < counts[1] < counts[2]


def test_the_share_of_a_mask_is_its_mean_and_none_of_run_lengths():
    subject = subject_of(real_masks(), resized_batch())
    masks = subject.predict()[0].pred_instances.masks
    assert mask_share(subject) == pytest.approx(float(masks.float().mean()))
    subject.model.mask_head.test_cfg.mask_format = "rle"
    assert mask_share(subject) is None


class LoggingClock(WallClock):
    def __init__(self, name, log):
        super().__init__()
        self.name, self.log = name, log

    def intervals(self):
        self.log.append(self.name)
        return super().intervals()


def test_detectors_run_in_turns_and_the_first_runs_do_not_count():
    log = []
    model = build_model().eval()
    data = model.data_preprocessor(resized_batch(1), training=False)
    subjects = [Subject(name, model, data, LoggingClock(name, log)) for name in "AB"]
    times = time_stages(subjects, runs=2, warmup=1)
    assert "".join(log) == "ABABAB"
    assert [(len(runs), instances) for runs, instances in times] == [(2, 10), (2, 10)]


@pytest.mark.parametrize(("runs", "warmup"), [(0, 1), (1, -1)])
def test_too_few_runs_are_refused(runs, warmup):
    with pytest.raises(ValueError, match=f"runs={runs} and warmup={warmup}: take at least"):
        time_stages([], runs, warmup)
