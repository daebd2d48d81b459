"""Checkpoints that older versions of this package wrote keep loading."""

import json
from pathlib import Path

import pytest
import torch
from mmdet.structures import DetDataSample
from tiny import build_model

from mmdet_embedmask.layers import rename_older
from mmdet_embedmask.loading import build_detector, checkpoint_config

STORED = Path(__file__).parent / "checkpoints"


def stored_input():
    """The image whose predictions are stored beside the checkpoint."""
    values = torch.arange(3 * 64 * 96).mul(7919).remainder(256)
    size = (64, 96)
    sample = DetDataSample(metainfo=dict(img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0)))
    return dict(inputs=[values.to(torch.uint8).reshape(3, *size)], data_samples=[sample])


def test_version_1_predicts_what_it_predicted_then():
    path = STORED / "tiny_version_1.pth"
    expected = json.loads((STORED / "tiny_version_1.json").read_text())
    model = build_detector(checkpoint_config(path), path, "cpu")
    with torch.no_grad():
        (sample,) = model.test_step(stored_input())
    found = sample.pred_instances
    assert found.labels.tolist() == expected["labels"]
    torch.testing.assert_close(found.scores, torch.tensor(expected["scores"]), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.bboxes, torch.tensor(expected["bboxes"]), atol=1e-3, rtol=0)
    areas = found.masks.flatten(1).sum(dim=1)
    # A pixel at the threshold may fall to either side.
    torch.testing.assert_close(areas, torch.tensor(expected["mask_areas"]), atol=2, rtol=0)


def test_what_is_saved_now_says_its_version():
    metadata = build_model().state_dict()._metadata
    assert metadata["bbox_head.proposal_branch"]["version"] == 2
    assert metadata["mask_head"]["version"] == 2


@pytest.mark.parametrize("version, names", [(None, ["h.new.w"]), (1, ["h.new.w"]), (2, ["h.w"])])
def test_only_older_weights_are_renamed(version, names):
    state = {"h.w": torch.zeros(1), "other.w": torch.zeros(1)}
    metadata = {} if version is None else dict(version=version)
    rename_older(state, "h.", metadata, version=2, renamed={"w": "new.w"})
    assert sorted(state) == sorted([*names, "other.w"])
