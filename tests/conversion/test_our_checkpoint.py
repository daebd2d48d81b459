"""What a converted checkpoint says beside its weights."""

import pytest
import torch
from mmengine.config import Config
from released_checkpoints import assert_equal_weights, tiny_config, tiny_network

from mmdet_embedmask.conversion.families import FUSED, PLAIN
from mmdet_embedmask.conversion.layout import Layout
from mmdet_embedmask.conversion.official import OfficialWeights, recognize
from mmdet_embedmask.conversion.our_checkpoint import (
    our_checkpoint,
    released_buffers,
    released_config,
)

BASE = "embedmask_fused_r50_fpn_ms-1x_coco.py"
BUFFERS = {
    "mask_pred.sizes_of_interest": torch.tensor([64, 128]),
    "mask_pred._iter": torch.tensor([3.0]),
}


@pytest.fixture
def convert(tmp_path):
    """Of options of the tiny network, and what the file has beside its weights."""

    def convert(buffers=None, **options):
        config = tiny_config(tmp_path, BASE, **options)
        theirs = tiny_network(config)[1] | (buffers or {})
        official = recognize(theirs)
        return official, our_checkpoint(official, Config.fromfile(config), "tiny.py", "digest")

    return convert


@pytest.mark.parametrize(
    "family, blocks, reduced, config",
    [
        (PLAIN, (3, 4, 6, 3), False, "released/embedmask_r50_fpn_1x_coco_released.py"),
        (PLAIN, (3, 4, 23, 3), False, "released/embedmask_r101_fpn_ms-3x_coco_released.py"),
        (FUSED, (3, 4, 6, 3), True, BASE),
        (FUSED, (3, 4, 23, 3), True, "embedmask_fused_r101_fpn_ms-3x_coco.py"),
        (
            FUSED,
            (3, 4, 6, 3),
            False,
            "released/embedmask_fused-conv3_r50_fpn_ms-1x_coco.py",
        ),
    ],
)
def test_each_released_network_has_its_config(family, blocks, reduced, config):
    layout = Layout(blocks, head_convs=4, levels=5, pixel_convs=4, reduced=reduced)
    assert released_config(OfficialWeights(family, layout, {})) == config


@pytest.mark.parametrize("classes, palette", [("classes", "palette"), ("CLASSES", "PALETTE")])
def test_the_configs_classes_are_written_in_any_spelling(convert, classes, palette):
    options = dict(
        bbox_head=dict(num_classes=2),
        mask_head=dict(semantic_branch=dict(num_classes=2, feat_channels=32)),
    )
    metainfo = {classes: ("cat", "dog"), palette: [(1, 2, 3), (4, 5, 6)], "version": 7}
    _, checkpoint = convert(**options, metainfo=metainfo)
    assert checkpoint["meta"]["dataset_meta"] == dict(
        classes=("cat", "dog"), palette=[(1, 2, 3), (4, 5, 6)]
    )


def test_what_is_skipped_is_kept_beside_the_weights(convert):
    official, checkpoint = convert(BUFFERS)
    assert_equal_weights(released_buffers(checkpoint, official), BUFFERS)
    assert not any("mask_pred" in name for name in checkpoint["state_dict"])


def test_without_anything_skipped_nothing_is_kept(convert):
    official, checkpoint = convert()
    assert "released_buffers" not in checkpoint["meta"]
    assert released_buffers(checkpoint, official) == {}


@pytest.mark.parametrize("kept", [None, 3, ["mask_pred._iter"], {"mask_pred._iter": 3}])
def test_other_things_under_that_name_are_no_buffers(kept):
    layout = Layout((3, 4, 6, 3), head_convs=4, levels=5, pixel_convs=4)
    official = OfficialWeights(FUSED, layout, {})
    assert released_buffers(dict(meta=dict(released_buffers=kept)), official) == {}
