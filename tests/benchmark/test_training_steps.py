from dataclasses import replace

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper
from runs import CONFIGS
from tiny import model_cfg

from mmdet_embedmask import EmbedMask
from mmdet_embedmask.benchmark import training_steps
from mmdet_embedmask.benchmark.clocks import WallClock
from mmdet_embedmask.benchmark.training_steps import (
    Trainer,
    TrainingBatch,
    TrainingSpec,
    time_training,
    training_memory,
)

BATCH = TrainingBatch(images=2, instances=4, size=(96, 128))


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.py"
    cfg = Config.fromfile(CONFIGS / "embedmask_r50_fpn_1x_coco.py")
    model = model_cfg(bbox_head=dict(num_classes=3))
    Config(dict(model=model, optim_wrapper=cfg.optim_wrapper)).dump(path)
    return TrainingSpec(str(path))


def test_the_batch_has_the_instances_that_were_asked_for():
    batch = TrainingBatch(2, 60, (320, 480)).make(num_classes=5)
    assert [tuple(image.shape) for image in batch["inputs"]] == [(3, 320, 480)] * 2
    assert not torch.equal(*batch["inputs"])
    for sample in batch["data_samples"]:
        truth = sample.gt_instances
        masks = torch.from_numpy(truth.masks.masks)
        assert len(truth) == 60 and masks.shape == (60, 320, 480)
        assert 0 <= truth.labels.min() and truth.labels.max() < 5
        # An ellipse fills pi / 4 of its box.
        x1, y1, x2, y2 = truth.bboxes.unbind(1)
        filled = masks.sum((1, 2)) / ((x2 - x1) * (y2 - y1))
        assert filled.median() == pytest.approx(torch.pi / 4, abs=0.02)
        for mask, box in zip(masks, truth.bboxes, strict=True):
            ys, xs = mask.nonzero().unbind(1)
            assert abs(xs.min() - box[0]) < 1.5 and abs(ys.max() - box[3]) < 1.5


def test_every_step_does_the_same_work(tiny):
    trainer = Trainer(tiny, BATCH)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.step()
    trainer.step()
    for name, parameter in trainer.model.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.grad is None or parameter.grad.isfinite().all()


def test_a_loss_that_is_not_finite_is_told(tiny):
    trainer = Trainer(tiny, BATCH)
    with torch.no_grad():
        trainer.model.bbox_head.conv_cls.bias.fill_(float("nan"))
    with pytest.raises(ValueError, match="loss.* of EmbedMask is nan"):
        trainer.step()


def test_options_replace_the_configs(tiny):
    options = {"model.bbox_head.num_classes": 7}
    assert Trainer(replace(tiny, cfg_options=options), BATCH).model.bbox_head.num_classes == 7


def test_mixed_precision_on_the_cpu_is_bfloat16_with_the_configs_optimizer(tiny):
    plain, trainer = Trainer(tiny, BATCH), Trainer(replace(tiny, amp=True), BATCH)
    # What clips gradients, for one, is the config's.
    assert trainer.optimizer.clip_grad_kwargs == plain.optimizer.clip_grad_kwargs
    assert len(trainer.optimizer.param_groups) == len(plain.optimizer.param_groups)
    kinds = []
    for each in (plain, trainer):
        hook = each.model.backbone.register_forward_hook(
            lambda module, inputs, outputs: kinds.append(outputs[-1].dtype)
        )
        each.step()
        hook.remove()
        assert {p.grad.dtype for p in each.model.parameters() if p.grad is not None} <= {
            torch.float32
        }
    assert kinds == [torch.float32, torch.bfloat16]


def test_mixed_precision_on_a_gpu_is_mmengines(tiny, monkeypatch):
    """Up to where MMEngine asks for the device."""
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, *_: self)
    monkeypatch.setattr(EmbedMask, "to", lambda self, *_: self)
    if torch.cuda.is_available():
        assert isinstance(
            Trainer(replace(tiny, device="cuda", amp=True), BATCH).optimizer, AmpOptimWrapper
        )
    else:
        with pytest.raises(AssertionError, match="AmpOptimizerWrapper.* only available"):
            Trainer(replace(tiny, device="cuda", amp=True), BATCH)


class FakeTrainer:
    """Each step takes one second more than the one before; that of "b" ten times as long."""

    time, log = 0.0, ()

    def __init__(self, spec, batch):
        assert batch is BATCH
        self.config, self.steps = spec.config, 0

    def step(self):
        self.steps += 1
        FakeTrainer.log += (self.config,)
        FakeTrainer.time += self.steps * {"a": 1, "b": 10}[self.config]

    two_steps = Trainer.two_steps


@pytest.fixture
def fake_trainer(monkeypatch):
    monkeypatch.setattr(training_steps, "Trainer", FakeTrainer)
    monkeypatch.setattr(FakeTrainer, "log", ())


def test_detectors_run_in_turns_and_the_first_steps_do_not_count(fake_trainer):
    clock = WallClock(lambda: FakeTrainer.time)
    specs = [TrainingSpec("a"), TrainingSpec("b")]
    assert time_training(specs, BATCH, 2, warmup=1, clock=clock) == [[2, 3], [20, 30]]
    assert FakeTrainer.log == ("a", "b") * 3


def two_steps_peak(run, on_gpu):
    before = len(FakeTrainer.log)
    run()
    return (2000 if on_gpu else 1000) + len(FakeTrainer.log) - before


def test_memory_is_that_of_two_steps(fake_trainer, monkeypatch):
    monkeypatch.setattr(training_steps, "peak_of", two_steps_peak)
    monkeypatch.setattr(training_steps, "in_new_process", lambda function, *args: function(*args))
    spec = TrainingSpec("a")
    assert training_memory(spec, BATCH, threads=torch.get_num_threads()) == 1002


def test_memory_on_a_gpu_is_counted_in_this_process(fake_trainer, monkeypatch):
    monkeypatch.setattr(training_steps, "peak_of", two_steps_peak)
    monkeypatch.setattr(training_steps, "in_new_process", None)
    assert training_memory(TrainingSpec("a", device="cuda"), BATCH, threads=1) == 2002


@pytest.mark.slow
def test_memory_is_measured_in_a_new_process(tiny):
    """Twice the same, and more for more objects' masks."""
    few, again = (training_memory(tiny, BATCH, threads=1) for _ in range(2))
    many = training_memory(tiny, TrainingBatch(2, 40, (96, 128)), threads=1)
    assert 1e6 < few < 1e8 and abs(few - again) < 2e6
    assert many > few
