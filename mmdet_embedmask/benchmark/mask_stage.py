"""The mask stage alone, on objects of a chosen size: from the pixel tower's output to masks."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.structures.mask import encode_mask_results
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor

from ..layers.positions import POSITION_UNIT
from ..mask_prediction import MaskRecipe, predict_masks
from .dense_masks import dense_masks
from .resident_memory import in_new_process, peak_of
from .stages import read_masks

STRIDE = 8
EMBED_DIM = 16
NOISE = 0.02
"""Standard deviation of the embeddings around their objects' centres: 2 pixels."""


@dataclass(frozen=True)
class MaskStage:
    """What the mask stage is given.

    Args:
        instances: K.
        area: of each object as a part of the network input.
        img_shape: (height, width) of the network input.
        size: (height, width) of the masks.
        recipe: of EmbedMask's masks.
    """

    instances: int
    area: float
    img_shape: tuple[int, int]
    size: tuple[int, int]
    recipe: MaskRecipe

    def embeddings(self, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Round objects: pixel (D, h, w), proposal (K, D), margin (K, D) and boxes (K, 4)."""
        generator = torch.Generator().manual_seed(seed)
        height, width = (-(-side // 32) * 4 for side in self.img_shape)
        y, x = ((torch.arange(n) + 0.5) * STRIDE / POSITION_UNIT for n in (height, width))
        pixels = NOISE * torch.randn(EMBED_DIM, height, width, generator=generator)
        pixels[0] += x
        pixels[1] += y[:, None]
        sides = torch.tensor([self.img_shape[1], self.img_shape[0]]) / POSITION_UNIT
        centers = torch.rand(self.instances, 2, generator=generator) * sides
        proposals = NOISE * torch.randn(self.instances, EMBED_DIM, generator=generator)
        proposals[:, :2] += centers
        radius = float((self.area * sides.prod() / torch.pi).sqrt())
        # On the border of its object P is the threshold.
        margin = -torch.log(torch.tensor(self.recipe.mask_thr)) / radius**2
        margins = margin.expand(self.instances, EMBED_DIM).contiguous()
        boxes = POSITION_UNIT * torch.cat([centers - radius, centers + radius], dim=1)
        return pixels, proposals, margins, boxes


def mask_stages(stage: MaskStage) -> dict[str, Callable[[], Any]]:
    """The mask stages that are compared, by name; each call makes the masks once."""
    inputs = (*stage.embeddings(), stage.img_shape, stage.size)
    run_lengths = replace(stage.recipe, mask_format="rle")
    condinst = _condinst(stage)
    return {
        "EmbedMask": lambda: predict_masks(*inputs, stage.recipe),
        "EmbedMask, run lengths": lambda: predict_masks(*inputs, run_lengths),
        "dense definition": lambda: dense_masks(*inputs, stage.recipe),
        "dense definition, encoded": lambda: encode_mask_results(
            dense_masks(*inputs, stage.recipe).numpy()
        ),
        "CondInst": condinst,
        "CondInst, encoded": lambda: encode_mask_results(condinst().numpy()),
    }


def _condinst(stage: MaskStage) -> Callable[[], Tensor]:
    """MMDetection's, from its mask features and dynamic parameters; content does not matter."""
    init_default_scope("mmdet")
    head = MODELS.build(
        dict(
            type="CondInstMaskHead",
            mask_feature_head=dict(
                in_channels=8, feat_channels=8, start_level=0, end_level=2, out_channels=8,
                mask_stride=STRIDE, num_stacked_convs=1,
            ),
            num_layers=3,
            feat_channels=8,
            size_of_interest=8,
            mask_out_stride=4,
            loss_mask=dict(type="DiceLoss"),
            test_cfg=ConfigDict(mask_thr=0.5),
        )
    )  # fmt: skip
    pixels, _, _, boxes = stage.embeddings()
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(8, *pixels.shape[1:], generator=generator)
    found = InstanceData(
        param_preds=torch.randn(stage.instances, 169, generator=generator),
        points=(boxes[:, :2] + boxes[:, 2:]) / 2,
        strides=torch.full((stage.instances,), float(STRIDE)),
    )
    factor = tuple(n / o for n, o in zip(stage.img_shape[::-1], stage.size[::-1], strict=True))
    meta = dict(img_shape=stage.img_shape, ori_shape=stage.size, scale_factor=factor)

    def run() -> Tensor:
        (maps,) = head.forward_single(features, found)
        masks: Tensor = head._predict_by_feat_single(maps, boxes.clone(), meta, rescale=True)
        return masks

    return run


@torch.no_grad()
def time_mask_stages(
    stage: MaskStage, runs: int, warmup: int, now: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Milliseconds of every run of each of `mask_stages`, until its masks have been read once.

    Args:
        stage: what they are given; they run in turns.
        runs: measured runs of each.
        warmup: runs of each before those.
        now: gives the time in seconds.
    """
    stages = mask_stages(stage)
    times: dict[str, list[float]] = {name: [] for name in stages}
    for turn in range(warmup + runs):
        for name, run in stages.items():
            start = now()
            result = run()
            read_masks(result)
            elapsed = (now() - start) * 1000
            del result
            if turn >= warmup:
                times[name].append(elapsed)
    return times


def mask_stage_memory(stage: MaskStage, threads: int) -> dict[str, int]:
    """Peak resident bytes of each of `mask_stages` beyond its inputs, each in a new process."""
    return {name: in_new_process(_peak, stage, name, threads) for name in mask_stages(stage)}


@torch.no_grad()
def _peak(stage: MaskStage, name: str, threads: int) -> int:
    torch.set_num_threads(threads)
    run = mask_stages(stage)[name]
    return peak_of(lambda: read_masks(run()))
