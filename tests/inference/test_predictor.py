import numpy as np
import pytest
import torch
from demo_model import CLASSES, demo_config, save_checkpoint
from mmdet.apis import DetInferencer, inference_detector, init_detector
from mmengine.config import Config
from pycocotools import mask as coco_mask
from runs import CONFIGS

from mmdet_embedmask.functional.run_lengths import encode_masks
from mmdet_embedmask.inference.predictor import open_segmentor
from mmdet_embedmask.loading import build_detector, checkpoint_config

IMAGE = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
WIDE = np.random.default_rng(1).integers(0, 255, (40, 90, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("demo") / "model.pth")


def segmentor(checkpoint, options=None):
    return open_segmentor(checkpoint_config(checkpoint, options), checkpoint, "cpu")


def test_predictions_are_those_of_mmdetection(checkpoint):
    ready = segmentor(checkpoint, {"model.test_cfg.mask_format": "bitmap"})
    (found,) = ready.predict([IMAGE])
    config = checkpoint_config(checkpoint)
    config.test_dataloader.dataset.pipeline.pop(2)
    model = init_detector(config, str(checkpoint), palette="random", device="cpu")
    expected = inference_detector(model, IMAGE).pred_instances
    assert len(found) == 10 and ready.class_names == CLASSES
    for name in ("bboxes", "scores", "labels", "masks"):
        assert torch.equal(found[name], expected[name]), name


def test_embed_mask_gives_run_lengths_that_equal_its_bitmaps(checkpoint):
    (codes,) = segmentor(checkpoint).predict([IMAGE])
    (bitmaps,) = segmentor(checkpoint, {"model.test_cfg.mask_format": "bitmap"}).predict([IMAGE])
    assert isinstance(codes.masks, list) and torch.is_tensor(bitmaps.masks)
    assert encode_masks(codes.masks) == encode_masks(bitmaps.masks)
    decoded = np.stack([coco_mask.decode(code) for code in codes.masks]).astype(bool)
    assert np.array_equal(decoded, bitmaps.masks.numpy())
    shares = decoded.mean(axis=(1, 2))
    assert ((shares > 0) & (shares < 1)).sum() >= 3, shares


def test_the_config_is_not_changed(checkpoint):
    config = checkpoint_config(checkpoint)
    before = config.pretty_text
    open_segmentor(config, checkpoint, "cpu")
    assert config.pretty_text == before


def test_batches_of_one_size_give_what_single_images_give(checkpoint):
    predict = segmentor(checkpoint).predict
    images = [IMAGE, IMAGE[::-1].copy()]
    for together, image in zip(predict(images), images, strict=True):
        (alone,) = predict([image])
        assert torch.allclose(together.bboxes, alone.bboxes, atol=1e-3)
        assert torch.allclose(together.scores, alone.scores, atol=1e-5)


def test_images_of_several_sizes_in_a_batch_get_masks_of_their_own_size(checkpoint):
    for found, image in zip(
        segmentor(checkpoint).predict([IMAGE, WIDE]), (IMAGE, WIDE), strict=True
    ):
        assert {tuple(code["size"]) for code in found.masks} == {image.shape[:2]}


def test_other_segmentors_of_mmdetection_predict_too(tmp_path):
    config = demo_config()
    config.model = Config.fromfile(CONFIGS / "peers" / "condinst_r18_fpn_dsb2018.py").model
    config.model.bbox_head.num_classes = len(CLASSES)
    torch.save(
        dict(state_dict=build_detector(config, None, "cpu").state_dict()), tmp_path / "c.pth"
    )
    ready = open_segmentor(config, tmp_path / "c.pth", "cpu")
    (found,) = ready.predict([IMAGE])
    assert torch.is_tensor(found.masks) and found.masks.shape[1:] == (60, 90)


def test_mmdetections_inferencer_needs_the_checkpoint_alone(checkpoint):
    inferencer = DetInferencer(weights=str(checkpoint), device="cpu", show_progress=False)
    out = inferencer(IMAGE, return_vis=True, no_save_vis=True, pred_score_thr=0.0)
    (prediction,) = out["predictions"]
    (expected,) = segmentor(checkpoint).predict([IMAGE])
    assert prediction["scores"] == pytest.approx(expected.scores.tolist())
    for code, mask in zip(prediction["masks"], expected.masks, strict=True):
        assert np.array_equal(coco_mask.decode(code), coco_mask.decode(mask))
    (picture,) = out["visualization"]
    assert picture.shape == IMAGE.shape
