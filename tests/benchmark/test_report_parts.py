from dataclasses import replace
from functools import partial, reduce
from operator import getitem
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from pretend_gpu import pretend_gpu
from runs import CONFIGS
from tiny import model_cfg

from mmdet_embedmask.benchmark import detectors as spec_of_detectors
from mmdet_embedmask.benchmark import mask_stage, products, report_parts
from mmdet_embedmask.benchmark.clocks import WallClock
from mmdet_embedmask.benchmark.detectors import load_detector_config
from mmdet_embedmask.benchmark.inference_memory import InferenceMemory
from mmdet_embedmask.benchmark.products import Ceilings, Product
from mmdet_embedmask.benchmark.report_parts import (
    InferenceFigures,
    InferenceMode,
    Setup,
    inference_table,
    measure_float64,
    measure_inference,
    measure_machine,
    measure_masks,
    measure_training,
)
from mmdet_embedmask.benchmark.report_scale import FULL, SMALL, Detector, detectors
from mmdet_embedmask.benchmark.side_by_side import Measured
from mmdet_embedmask.benchmark.stages import STAGE_NAMES
from mmdet_embedmask.benchmark.training_steps import TrainingBatch
from mmdet_embedmask.benchmark.turns import NotMeasured
from mmdet_embedmask.compat.mmcv_ops import install_mmcv_ops
from mmdet_embedmask.compat.plain_ops import COMPILED_MMCV_CURE
from mmdet_embedmask.functional.mask_prediction import _axis

SCALE = replace(
    SMALL, size=(64, 96), instances=3, areas=(0.04,), training=TrainingBatch(1, 2, (64, 96))
)
NO_ROI_ALIGN = NotImplementedError(f"RoIAlign needs torchvision. {COMPILED_MMCV_CURE}")
MISSING = NotMeasured("Mask R-CNN", "NotImplementedError: RoIAlign needs torchvision.", True)


@pytest.fixture
def setup(tmp_path):
    """FCOS, EmbedMask and CondInst by name; all are tiny EmbedMasks."""
    path = tmp_path / "tiny.py"
    optimizer = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.01))
    Config(dict(model=model_cfg(), optim_wrapper=optimizer)).dump(path)
    options = {"model.bbox_head.num_classes": 4}
    named = [Detector(name, str(path), options) for name in ("FCOS", "EmbedMask", "CondInst")]
    return Setup("cpu", SCALE, tuple(named))


@pytest.fixture
def on_a_gpu(setup, monkeypatch):
    """Nothing is put there: whoever asks for a clock or memory gets a made up one."""
    cpu = torch.device("cpu")
    clock_for = report_parts.clock_for
    monkeypatch.setattr(report_parts, "clock_for", lambda _: clock_for(cpu))
    return replace(setup, device="cuda")


def times(**stages):
    return dict.fromkeys(STAGE_NAMES, 0.0) | stages


def test_a_row_of_inference_tells_times_by_image_memory_and_waits():
    def measured(name, factor, share, memory):
        runs = [times(backbone=n * factor, masks=2 * factor) for n in (4, 6, 5)]
        return Measured(
            name, runs=runs, instances=200, mask_share=share, parameters=10**6, memory=memory
        )

    memory = InferenceMemory(network=250 * 10**6, whole=512 * 10**6)
    figures = [
        InferenceFigures(measured("FCOS", 1.0, None, None), None),
        InferenceFigures(measured("EmbedMask", 2.0, 0.0402, memory), 30),
    ]
    setup = Setup("cuda", FULL, ())
    table = inference_table(figures, setup, InferenceMode(batch=1))
    assert table.header == (
        ["detector", "whole (ms)", "an image (ms)", "of FCOS", "backbone", "masks", "masks cover"]
        + ["memory, network (MB)", "whole (MB)", "waits"]
    )
    assert table.rows == [
        ["FCOS", "7.0 (6.0 to 8.0)", "0.9", "1.00", "5.0", "2.0", "", "", "", ""],
        ["EmbedMask", "14.0 (12.0 to 16.0)", "1.8", "2.00", "10.0", "4.0", "4.02%", "250"]
        + ["512", "3.8"],
    ]
    assert table.meaning.startswith(
        "8 x 800 x 1333, 100 instances in each image: milliseconds of the whole, median (lowest to "
        "highest) of 20 runs after 5, in turns; by the image;"
    )
    # Without FCOS there is nothing to compare with.
    assert inference_table(figures[1:], setup, InferenceMode()).rows[0][2:4] == ["14.0", ""]
    compiled = inference_table(figures, setup, InferenceMode(compile=True))
    assert "one detector after the other" in compiled.meaning


@pytest.mark.parametrize("mode", [InferenceMode(), InferenceMode(batch=1, amp=True)])
def test_detectors_that_cannot_run_are_told_and_the_others_measured(setup, monkeypatch, mode):
    prepare = report_parts.prepare

    def prepared(spec, image):
        assert spec.amp == mode.amp and spec.instances == 3
        assert image.number == SCALE.batches[mode.batch]
        if spec.config == "no RoIAlign":
            raise NO_ROI_ALIGN
        subject = prepare(spec, image)
        if spec.cfg_options.get("model.bbox_head.num_classes") == 5:
            # It fails while it is warmed up, after its instances have been counted.
            results = iter([subject.model.predict(**renamed(subject.data))])
            subject.model.predict = lambda *_: next(results)
        return subject

    def renamed(data):
        return dict(batch_inputs=data["inputs"], batch_data_samples=data["data_samples"])

    monkeypatch.setattr(report_parts, "prepare", prepared)
    fcos, embed_mask, cond_inst = setup.detectors
    late = replace(fcos, name="late", small={"model.bbox_head.num_classes": 5})
    wrong = replace(fcos, name="wrong", small={"model.bbox_head.num_classes": 0})
    missing = replace(fcos, name="Mask R-CNN", config="no RoIAlign")
    order = (fcos, missing, late, embed_mask, wrong)
    result = measure_inference(replace(setup, detectors=order), mode)
    (table,) = result.tables
    assert [row[0] for row in table.rows] == ["FCOS", "EmbedMask"]
    assert [figure["name"] for figure in result.figures] == ["FCOS", "EmbedMask"]
    for figure in result.figures:
        assert len(figure["runs"]) == SCALE.runs and figure["total_ms"]["minimum"] > 0
        assert figure["instances"] == 3 * SCALE.batches[mode.batch]
        assert figure["memory"] is figure["synchronisations"] is None
    assert result.not_measured[0] == MISSING
    assert [(m.name, m.expected) for m in result.not_measured[1:]] == [
        ("wrong", False),
        ("late", False),
    ]


def test_compiled_detectors_run_one_after_the_other(setup, monkeypatch):
    log = []

    def prepared(spec, image):
        assert spec.compile and spec.compile_backend == "eager"
        log.append("prepare")
        return prepare(replace(spec, compile=False), image)

    prepare = report_parts.prepare
    monkeypatch.setattr(report_parts, "prepare", prepared)
    monkeypatch.setattr(torch._dynamo, "reset", lambda: log.append("reset"))
    result = measure_inference(setup, InferenceMode(compile=True))
    assert log == ["prepare", "reset"] * 3
    assert [row[0] for row in result.tables[0].rows] == ["FCOS", "EmbedMask", "CondInst"]


def test_memory_and_waits_are_told_of_a_gpu(setup, monkeypatch):
    class Counted:
        count = 12

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    class Model(torch.nn.Linear):
        """Eight parameters and two biases."""

        def __init__(self):
            super().__init__(4, 2)

    monkeypatch.setattr(report_parts, "memory_of", lambda _: InferenceMemory(1, 2))
    monkeypatch.setattr(report_parts, "count_synchronisations", Counted)
    monkeypatch.setattr(report_parts, "mask_share", lambda _: 0.5)
    subject = SimpleNamespace(
        name="x", model=Model(), data=dict(data_samples=[1, 2]), predict=lambda: None
    )
    runs = [times(neck=3.0)]
    figures = report_parts._inference_figures(subject, runs, replace(setup, device="cuda"))
    expected = Measured(
        "x", runs=runs, instances=6, mask_share=0.5, parameters=10, memory=InferenceMemory(1, 2)
    )
    assert figures == InferenceFigures(expected, 12)
    figures = report_parts._inference_figures(subject, runs, setup)
    assert figures == InferenceFigures(replace(expected, memory=None), None)


def test_mask_stages_are_told_as_multiples_of_writing(on_a_gpu, monkeypatch):
    def fail():
        raise torch.cuda.OutOfMemoryError("no room")

    stages = {"EmbedMask": lambda: 5, "CondInst": fail}
    monkeypatch.setattr(report_parts, "write_output", lambda _: 2)
    monkeypatch.setattr(report_parts, "mask_stages", lambda _: stages)
    monkeypatch.setattr(report_parts, "make_and_read", lambda make: make())
    # What is made tells how long it takes, and how much it needs.
    monkeypatch.setattr(report_parts, "milliseconds", lambda run, clock: float(run()))
    monkeypatch.setattr(report_parts, "mask_peak", lambda make: make() * 10**6)
    result = measure_masks(on_a_gpu)
    (table,) = result.tables
    assert table.header == ["mask stage", "ms", "times the writing", "peak memory (MB)"]
    assert table.rows == [
        ["writing the output", "2.00 (2.00 to 2.00)", "1.00", "2"],
        ["EmbedMask", "5.00 (5.00 to 5.00)", "2.50", "5"],
    ]
    assert table.meaning.startswith(
        "From the pixel tower's output to 3 masks of 64 x 96, bitmaps read once, of objects of 4% "
    )
    assert result.figures[1] == dict(
        name="EmbedMask", area=0.04, times_ms=[5.0, 5.0], memory_bytes=5 * 10**6
    )
    assert result.not_measured == [
        NotMeasured("CondInst, objects of 4%", "OutOfMemoryError: no room", True)
    ]


def test_real_mask_stages_stand_beside_the_floor(setup):
    (table,) = measure_masks(setup).tables
    assert [row[0] for row in table.rows] == [
        "writing the output",
        "EmbedMask",
        "EmbedMask, run lengths",
        "dense definition",
        "dense definition, encoded",
        "CondInst",
        "CondInst, encoded",
    ]
    assert {row[3] for row in table.rows} == {""}


@pytest.fixture
def pretended(monkeypatch):
    """A GPU without a queue: what meets there must lie there. It has used a million bytes."""
    if not install_mmcv_ops():
        pytest.skip("compiled MMCV is installed here: what is compiled knows real tensors alone")
    for module in (report_parts, mask_stage, products, spec_of_detectors):
        monkeypatch.setattr(module, "clock_for", lambda _: WallClock())
    for name, value in dict(
        reset_peak_memory_stats=None,
        memory_allocated=0,
        max_memory_allocated=10**6,
        get_sync_debug_mode=0,
        empty_cache=None,
    ).items():
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", lambda mode: None)
    _axis.cache_clear()
    with pretend_gpu():
        yield
    _axis.cache_clear()


def test_everything_lies_on_the_gpu(setup, pretended):
    on_gpu = replace(setup, device="cuda", detectors=setup.detectors[:1])
    parts = [measure_machine, measure_float64, measure_masks]
    parts += [
        partial(measure_inference, mode=InferenceMode()),
        partial(measure_training, amp=False),
    ]
    _, _, masks, inference, training = results = [part(on_gpu) for part in parts]
    assert not any(result.not_measured for result in results)
    assert [row[3] for row in masks.tables[0].rows] == ["1"] * 7
    (row,) = inference.tables[0].rows
    assert row[-3:] == ["1", "1", "0.0"]
    assert training.tables[0].rows[0][3] == "0.00"


def test_training_is_told_as_multiples_of_condinst(setup, on_a_gpu, monkeypatch):
    class FakeTrainer:
        def __init__(self, spec, batch):
            assert (spec.device, spec.amp, batch) == ("cuda", True, SCALE.training)
            assert spec.cfg_options == {"model.bbox_head.num_classes": 4}
            if spec.config == "no RoIAlign":
                raise NO_ROI_ALIGN
            self.two_steps = spec.config

    seconds = iter([9.0, 9.0, 9.0, 1.0, 3.0, 4.0, 2.0, 5.0, 8.0])
    monkeypatch.setattr(report_parts, "Trainer", FakeTrainer)
    monkeypatch.setattr(report_parts, "training_seconds", lambda *_: next(seconds))
    monkeypatch.setattr(report_parts, "peak_of", lambda run, on_gpu: 25 * 10**8)
    missing = replace(setup.detectors[0], name="Mask R-CNN", config="no RoIAlign")
    order = (missing, *setup.detectors)
    result = measure_training(replace(on_a_gpu, detectors=order), amp=True)
    (table,) = result.tables
    assert table.header == ["detector", "s / iteration", "of CondInst", "peak memory (GB)"]
    assert table.rows == [
        ["FCOS", "1.500 (1.000 to 2.000)", "0.25", "2.50"],
        ["EmbedMask", "4.000 (3.000 to 5.000)", "0.67", "2.50"],
        ["CondInst", "6.000 (4.000 to 8.000)", "1.00", "2.50"],
    ]
    assert result.not_measured == [MISSING]
    assert result.figures[0] == dict(name="FCOS", seconds=[1.0, 2.0], memory_bytes=25 * 10**8)


@pytest.mark.parametrize("amp", [False, True])
def test_real_training_steps_are_timed(setup, amp):
    one = replace(setup, detectors=setup.detectors[:1])
    result = measure_training(one, amp)
    ((name, _, ratio, memory),) = result.tables[0].rows
    # There is no CondInst to compare with, and no GPU.
    assert (name, ratio, memory) == ("FCOS", "", "")
    assert len(result.figures[0]["seconds"]) == 2 and not result.not_measured


def test_ceilings_are_told_in_units_a_second(setup, monkeypatch):
    found = Ceilings(copy=1.5e12, float32=40e12, float64=0.625e12)
    monkeypatch.setattr(report_parts, "measure_ceilings", lambda *given: found)
    result = measure_machine(setup)
    assert result.tables[0].rows == [
        ["copy (read and write)", "1500.0 GB/s"],
        ["product of matrices, float32", "40.000 TFLOP/s"],
        ["product of matrices, float64", "0.625 TFLOP/s"],
        ["float64 / float32", "0.016 (1 / 64.0)"],
    ]
    assert result.figures == dict(copy=1.5e12, float32=40e12, float64=0.625e12)


def test_float64_is_told_as_a_share_of_the_mask_stage(setup, monkeypatch):
    product = Product(
        name="coupling", shape="3 x 32 by 32 x 96", operations=100, float64_ms=1.5, float32_ms=0.25
    )
    monkeypatch.setattr(report_parts, "measure_products", lambda stage: [product])
    monkeypatch.setattr(report_parts, "milliseconds", lambda run, clock: 6.0)
    result = measure_float64(setup)
    assert result.tables[0].rows == [
        ["coupling", "4%", "3 x 32 by 32 x 96", "1.500", "0.250", "6.0", "25% of 6.00 ms"]
    ]
    assert result.figures[0]["mask_stage_ms"] == 6.0 and result.figures[0]["area"] == 0.04


def test_full_size_detectors_are_those_of_the_page_and_small_ones_take_their_settings():
    page = (CONFIGS.parents[1] / "docs" / "benchmark.md").read_text()
    for detector in detectors(CONFIGS):
        assert detector.config.split("configs/embedmask/")[-1] in page
        full = load_detector_config(detector.config)
        small = load_detector_config(detector.config, cfg_options=detector.small)
        for key, value in detector.small.items():
            # A name that no config has would be taken without a word.
            assert reduce(getitem, key.split("."), small) == value
            owner, name = key.rsplit(".", 1)
            assert name in reduce(getitem, owner.split("."), full) or name == "base_channels"


def test_parts_are_named_for_what_they_measure():
    modes = {
        name: part.measure.keywords["mode"]
        for name, part in report_parts.PARTS.items()
        if isinstance(part.measure, partial) and "mode" in part.measure.keywords
    }
    assert len(set(modes.values())) == len(modes) == 6
    for name, mode in modes.items():
        title = report_parts.PARTS[name].title
        assert mode.batch == name.startswith("batch") == ("several images" in title)
        assert mode.amp == name.endswith("-amp") == ("mixed precision" in title)
        assert mode.compile == name.endswith("-compiled") == ("torch.compile" in title)
