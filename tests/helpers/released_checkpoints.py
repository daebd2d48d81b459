"""Checkpoints as the authors' programs would write them, with random weights."""

import re
from pathlib import Path

import torch
from golden_figures import golden_names
from mmengine.config import Config
from runs import CONFIGS
from torch import Tensor

from mmdet_embedmask.conversion.official import to_official
from mmdet_embedmask.loading import build_detector

Shapes = dict[str, tuple[tuple[int, ...], torch.dtype]]

NAME_LISTS = {
    "plain": "names_plain_R50",
    "fused": "names_fused_R50_Conv1_Conv3",
    "fused_conv3": "names_fused_R50_Conv3",
}
BLOCKS_R50, BLOCKS_R101 = 6, 23
"""Of the third stage, in which the two differ."""


def listed_shapes(name: str) -> Shapes:
    """All entries of the state dict of the authors' instantiated R-50 network."""
    return {
        weight: (tuple(shape), getattr(torch, dtype))
        for weight, (shape, dtype) in golden_names(NAME_LISTS[name]).items()
    }


def deeper(shapes: Shapes) -> Shapes:
    """The same network with a ResNet-101."""
    block = re.compile(r"(backbone\.(?:body\.layer3|bottom_up\.res4))\.1\.(.*)")
    copies = {
        f"{match[1]}.{i}.{match[2]}": shape
        for name, shape in shapes.items()
        if (match := block.fullmatch(name))
        for i in range(BLOCKS_R50, BLOCKS_R101)
    }
    return shapes | copies


def random_weights(shapes: Shapes, seed: int = 0) -> dict[str, Tensor]:
    """Every tensor of its own random values; variances are positive, counters whole numbers."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, (shape, dtype) in shapes.items():
        if not dtype.is_floating_point:
            weights[name] = torch.randint(1, 1000, shape, generator=generator, dtype=dtype)
        elif name.endswith("running_var"):
            weights[name] = torch.rand(shape, generator=generator) + 0.5
        else:
            weights[name] = torch.randn(shape, generator=generator) * 0.05
    return weights


TINY = """
_base_ = {base!r}
model = dict(
    backbone=dict(base_channels=4),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels={channels}),
    bbox_head=dict(in_channels={channels}, feat_channels={channels}, **{bbox_head}),
    mask_head=dict(in_channels={channels}, **{mask_head}),
)
metainfo = {metainfo}
test_dataloader = dict(dataset=dict(metainfo=metainfo))
"""


def tiny_config(
    folder: Path,
    base: str,
    channels: int = 32,
    bbox_head: dict | None = None,
    mask_head: dict | None = None,
    metainfo: dict | None = None,
) -> Path:
    """A config file: one of ours with few channels, and otherwise its own layers."""
    text = TINY.format(
        base=str(CONFIGS / base),
        channels=channels,
        bbox_head=bbox_head or {},
        mask_head={"feat_channels": channels} | (mask_head or {}),
        metainfo=metainfo or {},
    )
    path = folder / "tiny.py"
    path.write_text(text)
    return path


def tiny_network(config: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random weights of a config's network: by our names, and by the authors'."""
    ours = build_detector(Config.fromfile(config), None, "cpu").state_dict()
    shapes = {name: (tuple(value.shape), value.dtype) for name, value in ours.items()}
    weights = random_weights(shapes)
    # The backbone's norms are frozen: they count no batches.
    for name in weights:
        if name.startswith("backbone.") and name.endswith("num_batches_tracked"):
            weights[name].zero_()
    return weights, to_official(weights).weights


def assert_equal_weights(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    """The same names in any order, and under each the same values in the same shape."""
    assert set(ours) == set(theirs)
    for name, value in ours.items():
        assert value.shape == theirs[name].shape and value.dtype == theirs[name].dtype, name
        assert torch.equal(value, theirs[name]), name
