"""Converted networks compute what the authors' would: golden heads, and a backbone by the names."""

import numpy as np
import pytest
import torch
from golden_figures import sampled
from golden_weights import golden_weights
from mmengine.config import Config
from released_checkpoints import tiny_config, tiny_network
from torch.nn import functional as F

from mmdet_embedmask.conversion.checkpoint_file import (
    read_checkpoint,
    released_weights,
    write_checkpoint,
)
from mmdet_embedmask.conversion.official import recognize
from mmdet_embedmask.conversion.our_checkpoint import our_checkpoint
from mmdet_embedmask.functional.geometry import cell_positions
from mmdet_embedmask.loading import build_detector

STRIDES = (8, 16, 32, 64, 128)
FIVE_CLASSES = dict(classes=("a", "b", "c", "d", "e"), palette=[(i, i, i) for i in range(5)])
TOLERANCE = 1e-10


def converted(theirs, config, tmp_path, factor=1.0):
    """As the tool does it: old file format, wrapped, converted, and built from the result alone."""
    source, out = tmp_path / "released.pth", tmp_path / "ours.pth"
    wrapped = {f"module.{name}": value.float() for name, value in theirs.items()}
    torch.save(
        dict(model=wrapped, iteration=np.int64(90000), optimizer=dict(state={})),
        source,
        _use_new_zipfile_serialization=False,
    )
    checkpoint, digest = read_checkpoint(source)
    official = recognize(released_weights(checkpoint), factor)
    ours = our_checkpoint(official, Config.fromfile(config), config.name, digest)
    write_checkpoint(out, ours)
    return build_detector(Config.fromstring(ours["meta"]["cfg"], ".py"), out, "cpu").double()


def released_with_golden_heads(config, golden, *prefixes):
    """A whole network of theirs whose heads are the golden ones, and nothing left over."""
    _, theirs = tiny_network(config)
    heads = golden_weights(golden, torch.float32, *prefixes)
    assert set(heads) <= set(theirs)
    counted = {n for n in theirs if n.endswith("num_batches_tracked")}
    assert {n for n in theirs if not n.startswith("backbone.")} == set(heads) | counted
    return theirs | heads


def positioned(model, offsets):
    """Embeddings with the position, which their heads add themselves."""
    add = model.mask_head.spatial_embedding
    return [add(x, cell_positions(x, stride)) for x, stride in zip(offsets, STRIDES, strict=True)]


def golden_levels(golden, name):
    return [torch.from_numpy(golden[f"{name}/{i}"]).double() for i in range(5)]


def largest_difference(ours, theirs):
    pairs = zip(map(sampled, ours), theirs, strict=True)
    return max(float((a - b).abs().max() / max(float(b.abs().max()), 1)) for a, b in pairs)


DIM8 = dict(
    channels=32,
    factor=2.0,
    bbox_head=dict(centerness_on_reg=False, margin_reduce_factor=1.0, embed_dim=8),
)
DIM16 = dict(channels=64, factor=1.0, bbox_head=dict(embed_dim=16))


@pytest.mark.parametrize("which, options", [("golden_head", DIM16), ("golden_head_dim8", DIM8)])
@torch.no_grad()
def test_heads_of_the_plain_program_give_its_figures(
    which, options, tmp_path, request, record_property
):
    golden = request.getfixturevalue(which)
    config = tiny_config(
        tmp_path,
        "released/embedmask_r50_fpn_1x_coco_released.py",
        options["channels"],
        bbox_head=options["bbox_head"] | dict(num_classes=5),
        mask_head=dict(embed_dim=options["bbox_head"]["embed_dim"]),
        metainfo=FIVE_CLASSES,
    )
    theirs = released_with_golden_heads(config, golden, "state_dict/")
    # Their full names start with rpn.head; the golden arrays have them.
    assert any(name.startswith("rpn.head.pixel_") for name in theirs)
    model = converted(theirs, config, tmp_path, options["factor"])
    features = tuple(golden_levels(golden, "feature"))
    cls, boxes, centerness, offsets, margins = model.bbox_head(features)
    outputs = {
        "train/logits": cls,
        # Ours are in pixels, the stored ones in strides, as in training.
        "train/bbox_reg": [box / stride for box, stride in zip(boxes, STRIDES, strict=True)],
        "train/centerness": centerness,
        "train/proposal_embed": positioned(model, offsets),
        "train/proposal_margin": margins,
    }
    differences = {
        name: largest_difference(ours, golden_levels(golden, name))
        for name, ours in outputs.items()
    }
    pixels = torch.from_numpy(golden["train/pixel_embed"]).double()
    differences["train/pixel_embed"] = largest_difference(model.mask_head(features), [pixels])
    for name, difference in differences.items():
        record_property(name, difference)
        print(f"{which} {name}: {difference:.1e}")
        assert difference < TOLERANCE, name


@pytest.mark.parametrize("variant", ["Conv1_Conv3", "Conv3"])
@torch.no_grad()
def test_heads_of_the_fused_program_give_its_figures(
    variant, golden_fused, tmp_path, record_property
):
    base, branch = "embedmask_fused_r50_fpn_ms-1x_coco.py", {}
    if variant == "Conv3":
        base = "released/embedmask_fused-conv3_r50_fpn_ms-1x_coco.py"
    semantic = dict(num_classes=5, feat_channels=32)
    config = tiny_config(
        tmp_path,
        base,
        64,
        bbox_head=branch | dict(num_classes=5),
        mask_head=dict(feat_channels=32, semantic_branch=semantic),
        metainfo=FIVE_CLASSES,
    )
    theirs = released_with_golden_heads(
        config, golden_fused, "state_dict/", f"state_dict_{variant}/"
    )
    model = converted(theirs, config, tmp_path)
    features = tuple(torch.from_numpy(golden_fused[f"feature/p{i}"]).double() for i in range(3, 8))
    _, _, _, offsets, margins = model.bbox_head(features)
    ours = [
        torch.cat(pair, dim=1) for pair in zip(positioned(model, offsets), margins, strict=True)
    ]
    name = "train/top_feats" if variant == "Conv1_Conv3" else "Conv3/train/top_feats"
    pixels = torch.from_numpy(golden_fused["eval/pixel_embed"])
    logits = torch.from_numpy(golden_fused["train/sem_logits"])
    differences = {
        name: largest_difference(ours, golden_levels(golden_fused, name)),
        "eval/pixel_embed": largest_difference(model.mask_head(features), [pixels]),
        "train/sem_logits": largest_difference(
            [model.mask_head.semantic_branch.train()(features[0])], [logits]
        ),
    }
    for name, difference in differences.items():
        record_property(name, difference)
        print(f"fused {variant} {name}: {difference:.1e}")
        assert difference < TOLERANCE, name


# Backbone and pyramid, in plain functions that read the authors' names.


def frozen_norm(x, weights, name):
    kinds = ("running_mean", "running_var", "weight", "bias")
    return F.batch_norm(x, *(weights[f"{name}.{kind}"] for kind in kinds))


def conv(x, weights, name, stride=1):
    kernel = weights[f"{name}.weight"]
    padding = kernel.shape[-1] // 2
    return F.conv2d(x, kernel, weights.get(f"{name}.bias"), stride, padding)


def plain_names(stage, block):
    prefix = f"backbone.body.layer{stage}.{block}"
    convs = [f"{prefix}.conv{i}" for i in (1, 2, 3)]
    norms = [f"{prefix}.bn{i}" for i in (1, 2, 3)]
    return convs, norms, f"{prefix}.downsample.0", f"{prefix}.downsample.1"


def fused_names(stage, block):
    prefix = f"backbone.bottom_up.res{stage + 1}.{block}"
    convs = [f"{prefix}.conv{i}" for i in (1, 2, 3)]
    norms = [f"{name}.norm" for name in convs]
    return convs, norms, f"{prefix}.shortcut", f"{prefix}.shortcut.norm"


def plain_backbone(x, weights, stem, names):
    """A ResNet-50 whose stages halve the size in their first 1x1 convolution (caffe)."""
    x = frozen_norm(conv(x, weights, stem[0], stride=2), weights, stem[1]).relu()
    x = F.max_pool2d(x, 3, 2, 1)
    levels = []
    for stage, blocks in ((1, 3), (2, 4), (3, 6), (4, 3)):
        for block in range(blocks):
            convs, norms, shortcut, shortcut_norm = names(stage, block)
            stride = 2 if stage > 1 and block == 0 else 1
            y = frozen_norm(conv(x, weights, convs[0], stride), weights, norms[0]).relu()
            y = frozen_norm(conv(y, weights, convs[1]), weights, norms[1]).relu()
            y = frozen_norm(conv(y, weights, convs[2]), weights, norms[2])
            if block == 0:
                x = frozen_norm(conv(x, weights, shortcut, stride), weights, shortcut_norm)
            x = (x + y).relu()
        levels.append(x)
    return levels[1:]


def plain_pyramid(levels, weights, inner, layer, extra):
    """P3 to P7; method.md section 2."""
    sums = [conv(x, weights, name) for x, name in zip(levels, inner, strict=True)]
    for i in (1, 0):
        sums[i] = sums[i] + F.interpolate(sums[i + 1], scale_factor=2, mode="nearest")
    outs = [conv(x, weights, name) for x, name in zip(sums, layer, strict=True)]
    outs.append(conv(outs[-1], weights, extra[0], stride=2))
    outs.append(conv(outs[-1].relu(), weights, extra[1], stride=2))
    return outs


FAMILIES = {
    "plain": (
        "released/embedmask_r50_fpn_1x_coco_released.py",
        ("backbone.body.stem.conv1", "backbone.body.stem.bn1"),
        plain_names,
        [f"backbone.fpn.fpn_inner{i}" for i in (2, 3, 4)],
        [f"backbone.fpn.fpn_layer{i}" for i in (2, 3, 4)],
        [f"backbone.fpn.top_blocks.{p}" for p in ("p6", "p7")],
    ),
    "fused": (
        "embedmask_fused_r50_fpn_ms-1x_coco.py",
        ("backbone.bottom_up.stem.conv1", "backbone.bottom_up.stem.conv1.norm"),
        fused_names,
        [f"backbone.fpn_lateral{i}" for i in (3, 4, 5)],
        [f"backbone.fpn_output{i}" for i in (3, 4, 5)],
        [f"backbone.top_block.{p}" for p in ("p6", "p7")],
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_backbone_and_pyramid_compute_what_the_names_say(family, tmp_path):
    base, stem, names, inner, layer, extra = FAMILIES[family]
    config = tiny_config(tmp_path, base)
    _, theirs = tiny_network(config)
    # Larger than the helper's, so that every layer matters in the result.
    theirs = {n: v * 4 if v.dim() == 4 else v for n, v in theirs.items()}
    model = converted(theirs, config, tmp_path)
    image = torch.randn(1, 3, 128, 160, dtype=torch.float64)
    weights = {name: value.double() for name, value in theirs.items()}
    expected = plain_pyramid(
        plain_backbone(image, weights, stem, names), weights, inner, layer, extra
    )
    ours = model.extract_feat(image)
    assert len(ours) == len(expected) == 5
    for a, b in zip(ours, expected, strict=True):
        assert float(b.std()) > 1e-3
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
