import pytest
import torch
from tiny import build_model, data_batch

from mmdet_embedmask.functional.coupling import coupled_probabilities
from mmdet_embedmask.inspection import inspect_batch


def test_inspected_masks_and_boxes_are_the_detectors_own():
    model = build_model(bbox_head=dict(prior_margin=0.4)).eval()
    batch = data_batch([3, 2], size=(61, 77))
    for sample in batch["data_samples"]:
        sample.set_metainfo(dict(ori_shape=(122, 154), scale_factor=(0.5, 0.5)))
    with torch.no_grad():
        predicted = model.test_step(batch)
    for inspected, sample in zip(inspect_batch(model, batch), predicted, strict=True):
        results = sample.pred_instances
        assert len(results) == 10
        assert torch.equal(inspected.masks(0.5), results.masks)
        shares = results.masks.float().mean(dim=(1, 2))
        assert 0 < shares.min() and shares.max() < 1
        assert torch.equal(inspected.original_bboxes(), results.bboxes)
        assert torch.equal(inspected.scores, results.scores)
        assert torch.equal(inspected.labels, results.labels)
        assert inspected.spatial_aware_dim == 2
        expected = coupled_probabilities(
            inspected.pixel_embedding, inspected.proposal_embedding, inspected.proposal_margin
        )
        assert torch.equal(inspected.probability, expected)


def test_selecting_detections_keeps_the_image():
    model = build_model(bbox_head=dict(prior_margin=0.4)).eval()
    (inspected,) = inspect_batch(model, data_batch([3]))
    kept = inspected.select(torch.tensor([4, 1]))
    assert torch.equal(kept.scores, inspected.scores[[4, 1]])
    masks = inspected.masks(0.5)
    assert torch.equal(kept.masks(0.5), masks[[4, 1]]) and not torch.equal(masks[4], masks[1])
    assert kept.pixel_embedding is inspected.pixel_embedding and kept.meta is inspected.meta


def test_an_image_that_was_padded_before_is_neither_predicted_nor_inspected():
    model, batch = build_model().eval(), data_batch([1], size=(128, 160))
    batch["data_samples"][0].set_metainfo(dict(ori_shape=(96, 160)))
    for look in (model.test_step, lambda data: inspect_batch(model, data)):
        with pytest.raises(
            ValueError, match=r"img_shape \(128, 160\) is not ori_shape \(96, 160\)"
        ):
            look(batch)
