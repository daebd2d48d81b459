"""It learns: overfitting reaches a high mask AP, real images lower every loss."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from runs import CONFIGS, build_runner, make_shapes, shapes_config
from shared_data import shared_file


@pytest.mark.slow
def test_overfitting_8_generated_images_reaches_mask_ap_09(tmp_path):
    # Large shapes: one pixel of border counts less, and masks are learned at stride 4.
    shapes = dict(sizes=(0.4, 0.75), objects=(1, 3), empty_fraction=0.0, crowd_fraction=0.0)
    root = make_shapes(tmp_path / "shapes", 8, size=192, **shapes)
    options = {"train_dataloader.batch_size": 4, "model.test_cfg.mask_thr": 0.55}
    cfg = shapes_config(root, tmp_path / "run", max_iters=700, **options)
    cfg.train_dataloader.dataset.pipeline = [
        t for t in cfg.train_dataloader.dataset.pipeline if t["type"] != "RandomFlip"
    ]
    cfg.param_scheduler[1].end = 700
    runner = build_runner(cfg)
    runner.train()
    metrics = runner.val_loop.run()
    assert metrics["coco/segm_mAP"] >= 0.9


class LossRecorder(Hook):
    """Mean losses over the whole training set, before the first iteration and after the last."""

    def before_train(self, runner):
        self.before = self.losses(runner)

    def after_train(self, runner):
        self.after = self.losses(runner)

    def losses(self, runner):
        np.random.seed(0)  # the same flips
        dataset, total = runner.train_dataloader.dataset, {}
        for index in range(len(dataset)):
            data = runner.model.data_preprocessor(pseudo_collate([dataset[index]]), training=True)
            with torch.no_grad():
                for name, value in runner.model(**data, mode="loss").items():
                    total[name] = total.get(name, 0.0) + float(value) / len(dataset)
        return total


@pytest.mark.slow
def test_one_epoch_of_real_coco_lowers_each_loss(tmp_path):
    root = shared_file("data/coco_ccby")
    cfg = Config.fromfile(CONFIGS / "embedmask_r50_fpn_1x_coco.py")
    small = Config.fromfile(CONFIGS / "embedmask_tiny_shapes.py")
    cfg.model = small.model
    cfg.model.bbox_head.num_classes = 80
    cfg.optim_wrapper = small.optim_wrapper
    cfg.param_scheduler = [dict(type="ConstantLR", factor=1.0, by_epoch=False)]
    cfg.work_dir = str(tmp_path)
    dataset = cfg.train_dataloader.dataset
    dataset.update(
        data_root=str(root), ann_file="instances_train.json", data_prefix=dict(img="train/")
    )
    dataset.pipeline[2].scale = (427, 320)
    cfg.train_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.train_cfg = dict(type="IterBasedTrainLoop", max_iters=29, val_interval=1000)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.test_cfg = cfg.test_dataloader = cfg.test_evaluator = None
    cfg.randomness = dict(seed=0)
    runner = build_runner(cfg)
    recorder = LossRecorder()
    runner.register_hook(recorder)
    assert len(runner.train_dataloader.dataset) == 57  # 29 batches of 2 see every image
    runner.train()
    assert set(recorder.before) == {"loss_cls", "loss_bbox", "loss_centerness", "loss_mask"}
    for name, before in recorder.before.items():
        assert recorder.after[name] < before, name
