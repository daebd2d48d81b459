from dataclasses import replace

import pytest
import torch
from pycocotools import mask as coco_mask

from mmdet_embedmask.benchmark import mask_stage
from mmdet_embedmask.benchmark.clocks import WallClock
from mmdet_embedmask.benchmark.mask_stage import (
    MaskStage,
    mask_stage_memory,
    mask_stages,
    time_mask_stages,
    write_output,
)
from mmdet_embedmask.functional.dense_masks import MaskRecipe

# Of pycocotools, about its own arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STAGE = MaskStage(
    instances=6, area=0.05, img_shape=(160, 200), size=(200, 320), recipe=MaskRecipe(0.5)
)


@pytest.mark.parametrize("area", [0.03, 0.1])
def test_objects_have_the_area_that_was_asked_for(area):
    stage = MaskStage(
        instances=40, area=area, img_shape=(320, 400), size=(320, 400), recipe=MaskRecipe(0.5)
    )
    masks = mask_stages(stage)["EmbedMask"]()
    # The largest lie wholly inside the image.
    assert float(masks.float().mean(dim=(1, 2)).quantile(0.9)) == pytest.approx(area, rel=0.1)


def test_every_stage_makes_the_same_masks():
    made = {name: run() for name, run in mask_stages(STAGE).items()}
    masks = made.pop("EmbedMask")
    assert masks.any() and torch.equal(made.pop("dense definition"), masks)
    assert made.pop("EmbedMask, run lengths") == made.pop("dense definition, encoded")
    condinst = made.pop("CondInst")
    assert condinst.shape == masks.shape and condinst.dtype == torch.bool
    encoded = torch.from_numpy(coco_mask.decode(made.pop("CondInst, encoded")))
    assert torch.equal(encoded.permute(2, 0, 1).bool(), condinst)
    assert not made


def test_all_run_in_turns_until_their_masks_have_been_read(monkeypatch):
    """By a clock that the work moves on; the first turn is not kept."""
    time, log = [0.0], []

    def work(name, seconds):
        def run():
            time[0] += seconds * (1 + log.count(name))
            log.append(name)
            return name

        return run

    def read(masks):
        log.append(f"read {masks}")
        time[0] += 0.5

    monkeypatch.setattr(mask_stage, "mask_stages", lambda _: dict(a=work("a", 1), b=work("b", 8)))
    monkeypatch.setattr(mask_stage, "read_masks", read)
    times = time_mask_stages(STAGE, 2, warmup=1, clock=WallClock(lambda: time[0]))
    assert times == dict(a=[2500, 3500], b=[16500, 24500])
    assert log == ["a", "read a", "b", "read b"] * 3


def test_memory_is_of_one_stage_each_with_its_masks_read(monkeypatch):
    read = []
    monkeypatch.setattr(mask_stage, "in_new_process", lambda function, *args: function(*args))
    monkeypatch.setattr(mask_stage, "mask_stages", lambda _: dict(a=lambda: "masks", b=lambda: 2))
    monkeypatch.setattr(mask_stage, "read_masks", read.append)
    monkeypatch.setattr(mask_stage, "peak_of", lambda run, on_gpu: [run(), len(read)][1])
    assert mask_stage_memory(STAGE, threads=torch.get_num_threads()) == dict(a=1, b=2)
    assert read == ["masks", 2]


def test_the_floor_is_masks_of_the_results_shape():
    masks = write_output(STAGE)
    assert masks.shape == (6, 200, 320) and masks.dtype == torch.bool and not masks.any()


def test_on_a_gpu_memory_is_counted_in_this_process_after_a_first_call(monkeypatch):
    log = []
    stages = dict(a=lambda: log.append("a"), b=lambda: log.append("b"))
    monkeypatch.setattr(mask_stage, "in_new_process", None)
    monkeypatch.setattr(mask_stage, "mask_stages", lambda _: stages)
    monkeypatch.setattr(mask_stage, "peak_of", lambda run, on_gpu: [run(), 5 * len(log)][on_gpu])
    assert mask_stage_memory(replace(STAGE, device="cuda"), threads=1) == dict(a=10, b=20)
    assert log == ["a", "a", "b", "b"]
