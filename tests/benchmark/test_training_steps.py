import pytest
import torch
from mmengine.config import Config
from runs import CONFIGS
from tiny import model_cfg

from mmdet_embedmask.benchmark.training_steps import (
    Trainer,
    TrainingBatch,
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
    return str(path)


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


def test_detectors_run_in_turns(tiny):
    times = time_training([tiny, tiny], BATCH, runs=2, warmup=1)
    assert [len(runs) for runs in times] == [2, 2] and min(min(runs) for runs in times) > 0


def test_memory_is_measured_in_a_new_process(tiny):
    assert 1e6 < training_memory(tiny, BATCH, threads=1) < 1e9
