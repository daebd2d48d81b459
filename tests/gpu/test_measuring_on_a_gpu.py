"""What times, counts and weighs on a GPU: only a real one has times and memory."""

import time
from dataclasses import replace

import pytest
import torch
from mmengine.config import Config
from on_both import check_masks
from runs import CONFIGS
from tiny import build_model, data_batch, model_cfg

from mmdet_embedmask.benchmark.clocks import CudaClock, clock_for
from mmdet_embedmask.benchmark.detectors import DetectorSpec, ImageSpec
from mmdet_embedmask.benchmark.inference_memory import inference_memory
from mmdet_embedmask.benchmark.machine import (
    describe_environment,
    describe_machine,
    device_name,
)
from mmdet_embedmask.benchmark.mask_stage import (
    MaskStage,
    mask_stage_memory,
    mask_stages,
    time_mask_stages,
)
from mmdet_embedmask.benchmark.peak_memory import free_memory, peak_of
from mmdet_embedmask.benchmark.report_parts import (
    InferenceMode,
    Setup,
    measure_float64,
    measure_inference,
    measure_machine,
    measure_masks,
    measure_training,
)
from mmdet_embedmask.benchmark.report_scale import SMALL, Detector
from mmdet_embedmask.benchmark.stages import Subject, time_stages
from mmdet_embedmask.benchmark.synchronisations import count_synchronisations
from mmdet_embedmask.benchmark.training_steps import (
    TrainingBatch,
    TrainingSpec,
    time_training,
    training_memory,
)
from mmdet_embedmask.functional.dense_masks import MaskRecipe

STAGE = MaskStage(
    instances=6, area=0.05, img_shape=(160, 200), size=(200, 320), recipe=MaskRecipe(0.5)
)


@pytest.fixture
def tiny(tmp_path):
    """A config file of a tiny detector."""
    path = tmp_path / "tiny.py"
    wrapper = Config.fromfile(CONFIGS / "embedmask_r50_fpn_1x_coco.py").optim_wrapper
    Config(dict(model=model_cfg(bbox_head=dict(num_classes=80)), optim_wrapper=wrapper)).dump(path)
    return str(path)


@pytest.mark.gpu
def test_the_gpu_is_timed_in_its_queue_with_the_hosts_work(real_gpu):
    clock = clock_for(torch.device("cuda"))
    assert isinstance(clock, CudaClock)
    matrix = torch.rand(2048, 2048, device="cuda")
    for _ in range(2):
        clock.mark()
        for _ in range(20):
            matrix = (matrix @ matrix).clamp(max=1)
        clock.mark()
        matrix.sum().item()
        time.sleep(0.05)
        clock.mark()
        on_gpu, on_host = clock.intervals()
        assert on_gpu > 0
        assert on_host >= 45


@pytest.mark.gpu
def test_every_wait_of_the_host_is_counted(real_gpu):
    values = torch.arange(5, device="cuda")
    before = torch.cuda.get_sync_debug_mode()
    with count_synchronisations() as counted:
        for index in range(3):
            values[index].item()
        values.cpu()
        values + 1
        torch.ones(3).pin_memory().to("cuda", non_blocking=True)
    assert counted.count == 4
    assert torch.cuda.get_sync_debug_mode() == before


@pytest.mark.gpu
def test_memory_is_what_torch_has_allocated(real_gpu):
    held = torch.zeros(2**20, dtype=torch.uint8, device="cuda")
    peak = peak_of(lambda: torch.zeros(2**24, dtype=torch.uint8, device="cuda"), on_gpu=True)
    assert 2**24 <= peak < 2**24 + 2**20
    del held
    free_memory()


@pytest.mark.gpu
@pytest.mark.parametrize("amp", [False, True])
def test_training_steps_have_a_time_and_a_peak_of_memory(real_gpu, tiny, amp):
    batch = TrainingBatch(images=2, instances=4, size=(96, 128))
    spec = TrainingSpec(tiny, device="cuda", amp=amp)
    ((seconds,),) = time_training([spec], batch, 1, warmup=1)
    assert seconds > 0
    assert training_memory(spec, batch, threads=1) > 10**5


@pytest.mark.gpu
def test_stages_of_inference_have_times_and_its_memory_holds_the_masks(real_gpu, tiny):
    model = build_model().eval().cuda()
    data = model.data_preprocessor(data_batch([0, 0], size=(61, 77)), training=False)
    subject = Subject("tiny", model, data, clock_for(torch.device("cuda")))
    ((runs, instances),) = time_stages([subject], runs=3, warmup=1)
    assert instances == 20 and all(sum(run.values()) > 0 for run in runs)
    spec = DetectorSpec(tiny, instances=5, device="cuda", prior_margin=0.3)
    memory = inference_memory(spec, ImageSpec((64, 96)), None, threads=1)
    # At least its masks.
    assert memory.whole >= 5 * 64 * 96 and memory.whole >= memory.network > 0


@pytest.mark.gpu
def test_the_mask_stage_alone_gives_the_masks_of_the_cpu(real_gpu):
    stage = replace(STAGE, device="cuda")
    masks = mask_stages(stage)["EmbedMask"]()
    check_masks(masks, mask_stages(STAGE)["EmbedMask"]())
    assert all(runs[0] > 0 for runs in time_mask_stages(stage, 1, warmup=1).values())
    assert mask_stage_memory(stage, 1)["EmbedMask"] >= masks.numel()


@pytest.mark.gpu
def test_the_machine_is_described_by_its_gpu(real_gpu):
    described = describe_machine("cuda")
    assert described["device"] == device_name("cuda") == torch.cuda.get_device_name()
    assert described["device"] == describe_environment()["device"]
    assert described["TF32 in convolutions"] == "off" and int(described["multiprocessors"]) > 0


@pytest.mark.gpu
def test_every_part_of_the_report_is_measured_in_small(real_gpu, tiny):
    setup = Setup("cuda", SMALL, (Detector("tiny", tiny, {}),))
    modes = [InferenceMode(batch, amp) for batch in (0, 1) for amp in (False, True)]
    results = [
        measure_machine(setup),
        measure_float64(setup),
        measure_masks(setup),
        *(measure_inference(setup, mode) for mode in modes),
        measure_training(setup, amp=False),
        measure_training(setup, amp=True),
    ]
    for result in results:
        assert result.not_measured == [] and all(table.rows for table in result.tables)
    (figures,) = results[3].figures
    assert figures["memory"]["whole"] > 0 and figures["synchronisations"] > 10
