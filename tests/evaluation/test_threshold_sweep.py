import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.runner import Runner
from pycocotools import mask as coco_mask
from runs import make_shapes, shapes_config
from tiny import build_model, data_batch

from mmdet_embedmask.evaluation import threshold_sweep
from mmdet_embedmask.evaluation.threshold_sweep import (
    best_threshold,
    build_metrics,
    check_thresholds,
    default_thresholds,
    sweep_thresholds,
)
from mmdet_embedmask.inspection import InspectedImage


class Recorder(BaseMetric):
    """Keeps what it is given, and measures nothing."""

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        self.given = list(results)
        return {}


@pytest.mark.parametrize("mask_resize", ["bilinear", "aligned"])
def test_each_threshold_is_that_of_the_detector_itself(mask_resize):
    """Of images that were made smaller, and by masks that are neither empty nor full."""
    model = build_model(
        bbox_head=dict(prior_margin=0.4), test_cfg=dict(mask_resize=mask_resize)
    ).eval()
    batch = data_batch([3, 2], size=(61, 77))
    for sample in batch["data_samples"]:
        sample.set_metainfo(dict(ori_shape=(122, 154), scale_factor=(0.5, 0.5)))
    thresholds = [0.05, 0.3, 0.9]
    metrics = [Recorder() for _ in thresholds]
    sweep_thresholds(model, [batch], metrics, thresholds)
    for threshold, metric in zip(thresholds, metrics, strict=True):
        model.mask_head.test_cfg.mask_thr = threshold
        with torch.no_grad():
            expected = model.test_step(batch)
        for found, sample in zip(metric.given, expected, strict=True):
            instances, own = found["pred_instances"], sample.pred_instances
            assert (found["img_id"], found["ori_shape"]) == (sample.img_id, (122, 154))
            for name in ("bboxes", "scores", "labels"):
                assert torch.equal(instances[name], own[name]), name
            decoded = torch.from_numpy(coco_mask.decode(instances["masks"])).permute(2, 0, 1)
            assert torch.equal(decoded.bool(), own.masks)
            shares = own.masks.float().mean(dim=(1, 2))
            assert ((shares > 0) & (shares < 1)).sum() >= 2, shares


def perfect_between(low, high, gt_masks, labels, meta):
    """Detections whose masks are the truth for thresholds in [low, high), else too large or none.

    Image, network input and mask stride agree here: resizing by 1 changes nothing.
    """
    truth = torch.from_numpy(gt_masks).float()
    probability = low + (high - low) * truth  # (K, H, W)
    k = len(truth)
    return InspectedImage(
        pixel_embedding=torch.zeros(3, 1, 1),
        proposal_embedding=torch.zeros(k, 3),
        proposal_margin=torch.ones(k, 3),
        probability=probability,
        bboxes=torch.tensor([[0.0, 0.0, 10.0, 10.0]] * k).reshape(k, 4),
        scores=torch.linspace(0.9, 0.5, k),
        labels=labels,
        mask_resize="bilinear",
        stride=2,
        mask_stride=1,
        inclusive_boxes=False,
        spatial_aware_dim=2,
        meta=meta,
    )


def test_every_threshold_gets_its_own_ap(tmp_path, monkeypatch):
    root = make_shapes(tmp_path / "shapes", 4, size=64)
    cfg = shapes_config(root, tmp_path, max_iters=1)
    loader = Runner.build_dataloader(cfg.test_dataloader)
    dataset = loader.dataset

    def inspect(model, batch):
        (sample,) = batch["data_samples"]
        info = next(i for i in dataset if i["data_samples"].img_id == sample.img_id)
        truth = info["data_samples"].gt_instances
        meta = dict(sample.metainfo) | dict(scale_factor=(1.0, 1.0))
        return [perfect_between(0.4, 0.6, truth.masks.masks, truth.labels, meta)]

    monkeypatch.setattr(threshold_sweep, "inspect_batch", inspect)
    thresholds = [0.3, 0.5, 0.7]
    # Settings of the evaluator that are for other evaluations do not get in the way.
    others = dict(metric_items=["mAP"], prefix="x", format_only=True)
    outfile = dict(outfile_prefix=str(tmp_path / "results"))
    evaluator = dict(cfg.test_evaluator) | others | outfile
    metrics = build_metrics(evaluator, dataset.metainfo, len(thresholds))
    results = sweep_thresholds(None, loader, metrics, thresholds)
    # Below 0.4 every mask is the whole image, from 0.6 on it is empty.
    assert [result["mAP"] for result in results][1:] == [1.0, 0.0]
    assert results[0]["mAP"] < 0.2 and results[1]["mAP_75"] == 1.0
    assert best_threshold(thresholds, results) == 0.5


def test_thresholds_are_checked_and_sorted():
    assert check_thresholds([0.6, 0.5, 0.6]) == [0.5, 0.6]
    assert default_thresholds()[0] == 0.3 and default_thresholds()[-1] == 0.7
    assert len(default_thresholds()) == 21 and 0.52 in default_thresholds()
    for threshold in (0.0, 1.0, 1.5, -0.1):
        with pytest.raises(ValueError, match=f"threshold {threshold} must be a probability"):
            check_thresholds([0.5, threshold])
    with pytest.raises(ValueError, match="give at least one"):
        check_thresholds([])


def test_another_evaluator_is_refused():
    with pytest.raises(ValueError, match=r"needs test_evaluator=dict\(type='CocoMetricByName'"):
        build_metrics(dict(type="VOCMetric"), {}, 2)


@pytest.mark.parametrize("kind", ["CocoMetric", "CocoMetricByName"])
def test_an_evaluator_that_calls_labels_by_other_names_is_refused(tmp_path, kind):
    root = make_shapes(tmp_path / "shapes", 1, size=64)
    evaluator = dict(type=kind, ann_file=str(root / "annotations" / "instances_train.json"))
    meta = dict(classes=("ellipse", "polygon", "ring"))
    assert len(build_metrics(evaluator, meta, 2)) == 2
    meta = dict(classes=("ring", "ellipse", "polygon"))
    if kind == "CocoMetricByName":
        (metric,) = build_metrics(evaluator, meta, 1)
        assert metric.cat_ids == [3, 1, 2]
    else:
        with pytest.raises(ValueError, match="ann_file cannot be used(?s:.*)CocoMetricByName"):
            build_metrics(evaluator, meta, 2)


def test_without_any_detection_the_ap_is_zero(tmp_path):
    cfg = shapes_config(make_shapes(tmp_path / "shapes", 2, size=64), tmp_path, max_iters=1)
    loader = Runner.build_dataloader(cfg.test_dataloader)
    model = build_model(test_cfg=dict(score_thr=0.999)).eval()
    metrics = build_metrics(cfg.test_evaluator, loader.dataset.metainfo, 2)
    results = sweep_thresholds(model, loader, metrics, [0.4, 0.6])
    assert [result["mAP"] for result in results] == [0.0, 0.0]
