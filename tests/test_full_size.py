"""Configs of the tables, ATSS and RTMDet at full size: one training step, one inference on COCO."""

from copy import deepcopy

import pytest
import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from runs import CONFIGS
from shared_data import shared_file

TABLES = sorted(CONFIGS.glob("embedmask_*_coco.py")) + sorted(CONFIGS.glob("ablations/*.py"))
ATSS = CONFIGS / "atss" / "embedmask_atss_r50_fpn_1x_coco.py"
RTMDET = sorted(CONFIGS.glob("rtmdet/*_coco.py"))


def coco_images(loader: Config, split: str):
    """The config's own data set and pipeline over the real images beside the project."""
    annotations = shared_file(f"data/coco_ccby/instances_{split}.json")
    dataset = deepcopy(loader.dataset)
    dataset.update(
        data_root="",
        ann_file=str(annotations),
        data_prefix=dict(img=f"{annotations.parent}/{split}/"),
    )
    return DATASETS.build(dataset)


def wide(dataset):
    """A sample of at least two objects; of those of different sides, one that is wide."""
    for index in range(len(dataset)):
        sample = dataset[index]
        height, width = sample["data_samples"].img_shape
        if width >= height and len(sample["data_samples"].gt_instances) >= 2:
            return sample
    raise AssertionError("no image of the data set is wide and has two objects")


@pytest.mark.slow
@pytest.mark.parametrize("path", [*TABLES, ATSS, *RTMDET], ids=lambda path: path.stem)
def test_a_config_learns_in_one_step_and_gives_100_masks_at_full_size(path):
    cfg = Config.fromfile(path)
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model)
    model.init_weights()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}

    batch = pseudo_collate([wide(coco_images(cfg.train_dataloader, "train"))])
    assert min(batch["inputs"][0].shape[1:]) >= 640
    model.train()
    losses = model.train_step(batch, wrapper)
    assert all(value.isfinite().all() for value in losses.values())
    for name, parameter in model.named_parameters():
        assert parameter.isfinite().all(), name
        if name.startswith(("bbox_head.proposal_branch", "mask_head")) and "norm" not in name:
            # Biases of unused classes apart, whatever couples has learned something.
            moved = not torch.equal(parameter, before[name])
            assert moved or parameter.grad.abs().max() == 0, name

    batch = pseudo_collate([wide(coco_images(cfg.val_dataloader, "val"))])
    model.eval()
    # After one step the boxes have no width and the scores are at the prior: keep them. Where boxes
    # are clipped last, those without a width would be dropped.
    kept = dict(score_thr=0.0, min_bbox_size=-1, clip_boxes="before_nms")
    model.bbox_head.test_cfg.update(kept)
    with torch.no_grad():
        (sample,) = model.test_step(batch)
    results = sample.pred_instances
    assert sorted(results.keys()) == ["bboxes", "labels", "masks", "scores"]
    assert results.masks.shape == (len(results), *sample.ori_shape) and len(results) == 100
