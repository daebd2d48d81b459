from copy import deepcopy
from itertools import accumulate

import pytest
import torch
from mmengine.config import Config
from pycocotools import mask as coco_mask
from runs import CONFIGS
from tiny import build_model, data_batch, model_cfg

from mmdet_embedmask.benchmark.clocks import WallClock, clock_for
from mmdet_embedmask.benchmark.detectors import fix_instances, load_detector_config, random_image
from mmdet_embedmask.benchmark.stage_times import STAGES, Spread, StageTimes, times_table
from mmdet_embedmask.benchmark.stages import Subject, predict_in_stages, time_stages
from mmdet_embedmask.detector import build_detector

# Of pycocotools, about its own arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PEER = CONFIGS / "peers" / "condinst_r18_fpn_dsb2018.py"


def subject_of(model, batch, clock=None, amp=False):
    data = model.data_preprocessor(batch, training=False)
    return Subject("tiny", model, data, clock or clock_for(data["inputs"].device), amp)


def resized_batch(images=2):
    """Images of half their original size, which is no multiple of anything."""
    batch = data_batch([0] * images, size=(61, 77))
    for sample in batch["data_samples"]:
        sample.set_metainfo(dict(ori_shape=(122, 154), scale_factor=(0.5, 0.5)))
    return batch


def assert_predicts_as_the_model_does(subject, detections):
    results, codes = predict_in_stages(subject)
    assert len(subject.clock.intervals()) == len(STAGES)
    device = subject.data["inputs"].device.type
    with torch.no_grad(), torch.autocast(device, enabled=subject.amp):
        predicted = subject.model(**subject.data, mode="predict")
    for image, image_codes, sample in zip(results, codes, predicted, strict=True):
        expected = sample.pred_instances
        assert len(image) == detections
        for key in ("bboxes", "scores", "labels", "masks"):
            assert torch.equal(image[key], expected[key]), key
        decoded = torch.from_numpy(coco_mask.decode(image_codes)).permute(2, 0, 1)
        assert torch.equal(decoded.bool(), expected.masks.cpu())


@pytest.mark.parametrize("amp", [False, True])
def test_stages_in_a_row_are_the_models_own_prediction(amp):
    subject = subject_of(build_model().eval(), resized_batch(), amp=amp)
    assert_predicts_as_the_model_does(subject, detections=10)


def test_condinst_predicts_in_the_same_stages():
    config = load_detector_config(PEER, cfg_options={"model.backbone.base_channels": 32})
    config.model.neck.in_channels = [32, 64, 128, 256]
    fix_instances(config, 5)
    model = build_detector(config, None, torch.device("cpu"))
    assert_predicts_as_the_model_does(subject_of(model, random_image(64, 64)), detections=5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("amp", [False, True])
def test_stages_on_the_gpu(amp):
    subject = subject_of(build_model().eval().cuda(), resized_batch(), amp=amp)
    assert_predicts_as_the_model_does(subject, detections=10)
    (times,) = time_stages([subject], runs=3, warmup=1)
    assert min(min(run) for run in times.runs) >= 0
    assert times.total().minimum > 0


def fake_clock(*runs):
    """Gives each run's stages these milliseconds; between runs goes a second."""
    steps = [step for run in runs for step in (1000.0, *run)]
    return WallClock(iter([t / 1000 for t in accumulate(steps)]).__next__)


def test_medians_and_extremes_are_of_the_measured_runs_only():
    warmup = [9000.0] * 7
    clock = fake_clock(
        warmup,
        [10, 2, 8, 5, 4, 1, 100],
        [30, 1, 6, 5, 4, 2, 300],
        [20, 3, 7, 5, 4, 6, 200],
    )
    subject = subject_of(build_model().eval(), random_image(61, 77), clock)
    (times,) = time_stages([subject], runs=3, warmup=1)
    assert len(times.runs) == 3
    expected = dict(
        zip(STAGES, [(20, 10, 30), (2, 1, 3), (7, 6, 8), (5, 5, 5), (4, 4, 4)], strict=False)
    )
    expected |= {"masks": (2, 1, 6), "rle": (200, 100, 300)}
    for stage, spread in expected.items():
        assert vars(times.stage(stage)) == pytest.approx(vars(Spread(*spread)), abs=1e-6), stage
    # Sums of each run, without RLE: 30, 48, 45; the median is not the sum of medians, 40.
    assert vars(times.total()) == pytest.approx(vars(Spread(45, 30, 48)), abs=1e-6)
    assert (times.image_size, times.padded_size, times.mask_size) == ((61, 77), (64, 96), (61, 77))
    assert times.detections == 10
    content = times.to_json()
    assert content["stages_ms"]["rle"]["median"] == pytest.approx(200)
    assert [run["backbone"] for run in content["runs_ms"]] == pytest.approx([10, 30, 20])


def test_the_table_has_the_encoding_below_the_total():
    times = StageTimes("r50", (8, 9), (32, 32), (8, 9), 5, ((1.0,) * 6 + (50.0,), (3.0,) * 7))
    lines = times_table([times]).splitlines()
    assert [" ".join(line.strip("| ").split()) for line in lines if "---" not in line] == [
        "stage | r50",
        *(f"{stage} | 2.0 (1.0 - 3.0)" for stage in STAGES[:-1]),
        "total | 12.0 (6.0 - 18.0)",
        "rle (not in the total) | 26.5 (3.0 - 50.0)",
    ]


class LoggingClock(WallClock):
    def __init__(self, name, log):
        super().__init__()
        self.name, self.log = name, log

    def intervals(self):
        self.log.append(self.name)
        return super().intervals()


def test_detectors_run_in_turns():
    log = []
    model = build_model().eval()
    subjects = [subject_of(model, random_image(32, 32), LoggingClock(n, log)) for n in "AB"]
    times = time_stages(subjects, runs=2, warmup=1)
    assert "".join(log) == "ABABAB"
    assert [len(t.runs) for t in times] == [2, 2]


@pytest.mark.parametrize(("runs", "warmup"), [(0, 1), (1, -1)])
def test_too_few_runs(runs, warmup):
    with pytest.raises(ValueError, match=f"runs={runs} and warmup={warmup}: take at least"):
        time_stages([], runs, warmup)


def test_a_fixed_number_of_instances_needs_no_training():
    config = Config(dict(model=model_cfg(test_cfg=dict(score_thr=0.05))))
    for instances, expected in ((None, 0), (37, 37)):
        if instances:
            fix_instances(config, instances)
        model = build_detector(config, None, torch.device("cpu"))
        results, _ = predict_in_stages(subject_of(model, random_image(64, 64)))
        assert len(results[0]) == expected


def test_building_leaves_the_config_alone_and_downloads_nothing():
    config = Config(dict(model=model_cfg()))
    pretrained = dict(type="Pretrained", checkpoint="open-mmlab://no-such-weights")
    config.model.backbone.init_cfg = pretrained
    before = deepcopy(config.model)
    model = build_detector(config, None, torch.device("cpu"))
    assert not model.training
    assert config.model == before
