from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from tiny import build_rtmdet, data_batch, model_cfg

from mmdet_embedmask.benchmark import fixed_instances
from mmdet_embedmask.benchmark.detectors import (
    DetectorSpec,
    ImageSpec,
    check_instances,
    load_detector_config,
    prepare,
    random_image,
)
from mmdet_embedmask.benchmark.fixed_instances import candidate_threshold
from mmdet_embedmask.loading import build_detector


@pytest.fixture
def tiny(tmp_path):
    Config(dict(model=model_cfg(test_cfg=dict(score_thr=0.05)))).dump(tmp_path / "tiny.py")
    return DetectorSpec(str(tmp_path / "tiny.py"))


CLIP_AFTER = {"model.test_cfg.clip_boxes": "after_nms", "model.test_cfg.min_bbox_size": -1}


@pytest.mark.parametrize("options", [{}, {"model.test_cfg.score": "sqrt"}, CLIP_AFTER])
def test_a_fixed_number_of_instances_needs_no_training(tiny, options):
    image = ImageSpec((96, 96), number=2)
    assert not len(prepare(tiny, image).predict()[0].pred_instances)
    spec = replace(tiny, instances=37, cfg_options=options)
    subject = prepare(spec, image)
    assert [len(sample.pred_instances) for sample in subject.predict()] == [37, 37]
    check_instances(subject, 37)
    # Five candidates for each, of both images together.
    scores = [s.sigmoid() for s in subject.model.bbox_head(subject.model.extract_feat(
        subject.data["inputs"]
    ))[0]]  # fmt: skip
    if not options:
        passed = sum(int((s > subject.score_thr).sum()) for s in scores)
        assert passed == pytest.approx(2 * 5 * 37, abs=1)
    # The threshold serves again, without a search.
    again = prepare(spec, image, subject.score_thr)
    assert len(again.predict()[1].pred_instances) == 37


def test_a_fixed_number_is_kept_under_autocast_where_rounded_scores_are_equal(tiny):
    """The threshold is just below the lowest score in the type that has few digits."""
    spec = replace(tiny, instances=20, amp=True)
    subject = prepare(spec, ImageSpec((96, 96), number=2))
    check_instances(subject, 20)
    head = subject.model.bbox_head
    with torch.no_grad(), torch.autocast("cpu"):
        features = subject.model.extract_feat(subject.data["inputs"])
        scores = torch.cat([level.sigmoid().flatten() for level in head(features)[0]])
    assert scores.dtype == torch.bfloat16
    passed = scores > subject.score_thr
    assert passed.sum() >= 2 * 5 * 20
    # As many as have a score that is equal to the last one's, and no lower.
    assert scores[passed].min() == scores.topk(2 * 5 * 20).values[-1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_every_score_is_above_the_threshold_below_it(dtype, monkeypatch):
    model = SimpleNamespace(predict=lambda *_: None)
    scorer = torch.nn.Identity()
    head = SimpleNamespace(test_cfg=SimpleNamespace())
    monkeypatch.setattr(fixed_instances, "_heads", lambda _: (scorer, head))
    monkeypatch.setattr(fixed_instances, "_scores", lambda _, outputs: outputs)
    for score in torch.logspace(-4, 0, 50).to(dtype):
        scores = score.repeat(5)
        model.predict = lambda *_, scores=scores: scorer(scores)
        threshold = candidate_threshold(model, dict(inputs=None, data_samples=[None]), 1)
        assert (scores > threshold).all()
        assert threshold > 0.99 * float(score)
    model.predict = lambda *_: scorer(torch.zeros(5, dtype=dtype))
    assert candidate_threshold(model, dict(inputs=None, data_samples=[None]), 1) < 0


def test_square_roots_without_centerness_are_of_the_class_alone():
    model, data = build_rtmdet().eval(), data_batch([1])
    data = model.data_preprocessor(data, training=False)
    plain = candidate_threshold(model, data, 2)
    model.bbox_head.test_cfg.update(score="sqrt")
    assert candidate_threshold(model, data, 2) == plain > 0


def test_more_instances_than_candidates_are_refused(tiny):
    subject = prepare(replace(tiny, instances=100_000), ImageSpec((64, 64)))
    message = r"tiny gives \[\d+\] instances an image instead of 100000: take fewer"
    with pytest.raises(ValueError, match=message):
        check_instances(subject, 100_000)


def test_masks_are_as_large_as_the_original_and_inputs_padded(tiny):
    subject = prepare(replace(tiny, instances=3), ImageSpec((70, 90), original_size=(35, 50)))
    assert subject.data["inputs"].shape == (1, 3, 96, 96)
    assert subject.predict()[0].pred_instances.masks.shape == (3, 35, 50)


def test_run_lengths_are_embedmasks_own(tiny):
    subject = prepare(replace(tiny, instances=3, run_lengths=True), ImageSpec((64, 64)))
    assert subject.model.mask_head.mask_format == "rle"
    assert len(subject.predict()[0].pred_instances.masks) == 3


def test_the_prior_margin_sets_how_large_untrained_masks_are(tiny):
    areas = []
    for margin in (0.1, 20.0):
        subject = prepare(replace(tiny, instances=9, prior_margin=margin), ImageSpec((128, 128)))
        areas.append(float(subject.predict()[0].pred_instances.masks.float().mean()))
    assert areas[0] < 0.1 and areas[1] > 0.9


def test_channels_last_changes_the_memory_format_alone(tiny):
    image = ImageSpec((64, 64))
    plain, other = prepare(tiny, image), prepare(replace(tiny, channels_last=True), image)
    assert other.data["inputs"].is_contiguous(memory_format=torch.channels_last)
    outputs = [s.model.backbone(s.data["inputs"])[2] for s in (plain, other)]
    torch.testing.assert_close(*outputs, rtol=1e-3, atol=1e-4)


def test_a_config_of_mmdetection_is_read_by_name():
    config = load_detector_config("mmdet::solov2/solov2_r50_fpn_1x_coco.py")
    assert config.model.type == "SOLOv2"


def test_building_leaves_the_config_alone_and_downloads_nothing():
    config = Config(dict(model=model_cfg()))
    pretrained = dict(type="Pretrained", checkpoint="open-mmlab://no-such-weights")
    config.model.backbone.init_cfg = pretrained
    before = deepcopy(config.model)
    model = build_detector(config, None, torch.device("cpu"))
    assert not model.training
    assert config.model == before


def test_a_config_without_a_detector_is_refused(tmp_path):
    (tmp_path / "data.py").write_text("data_root = 'x'\n")
    with pytest.raises(ValueError, match="the model is of type None, not of a kind of BaseDet"):
        load_detector_config(tmp_path / "data.py")


def test_a_noise_image_tells_how_it_was_resized():
    (sample,) = random_image(40, 60, original_size=(80, 90))["data_samples"]
    assert sample.ori_shape == (80, 90) and sample.scale_factor == (60 / 90, 40 / 80)
