"""The mask stage alone, on objects of a chosen size: from the pixel tower's output to masks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from mmdet.registry import MODELS
from mmdet.structures.mask import encode_mask_results
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor

from ..functional.dense_masks import MaskRecipe, dense_masks
from ..functional.geometry import POSITION_UNIT
from ..functional.mask_prediction import predict_masks
from .clocks import Clock, clock_for, milliseconds
from .machine import Device
from .peak_memory import in_new_process, peak_of, with_threads
from .stages import read_masks
from .turns import take_turns

_T = TypeVar("_T")

FLOOR = "writing the output"
"""Nothing but masks of the result's shape, allocated and filled: no mask stage of bitmaps can take
less."""

STRIDE = 8
EMBED_DIM = 16
NOISE = 0.02
"""Standard deviation of the embeddings around their objects' centres: 2 pixels."""


@dataclass(frozen=True, kw_only=True)
class MaskStage:
    """What the mask stage is given.

    Args:
        instances: K.
        area: of each object as a part of the network input.
        img_shape: (height, width) of the network input.
        size: (height, width) of the masks.
        recipe: of EmbedMask's masks.
        device: that they are made on.
    """

    instances: int
    area: float
    img_shape: tuple[int, int]
    size: tuple[int, int]
    recipe: MaskRecipe
    device: Device = "cpu"

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
        # On the border of an object, P is the threshold.
        margin = -torch.log(torch.tensor(self.recipe.mask_thr)) / radius**2
        margins = margin.expand(self.instances, EMBED_DIM).contiguous()
        boxes = POSITION_UNIT * torch.cat([centers - radius, centers + radius], dim=1)
        # Made on the CPU, they are the same on every device.
        made = (pixels, proposals, margins, boxes)
        pixels, proposals, margins, boxes = (each.to(self.device) for each in made)
        return pixels, proposals, margins, boxes


def mask_stages(stage: MaskStage) -> dict[str, Callable[[], Any]]:
    """The mask stages that are compared, by name; each call makes the masks once.

    Run lengths end on the CPU, where all who use them read them.
    """
    inputs = stage.embeddings()

    def of_stage(masks_of: Callable[..., _T]) -> Callable[..., _T]:
        shapes = dict(img_shape=stage.img_shape, size=stage.size)
        return partial(masks_of, *inputs, **shapes, recipe=stage.recipe)

    predict, dense = of_stage(predict_masks), of_stage(dense_masks)
    condinst = _condinst(stage)
    return {
        "EmbedMask": predict,
        "EmbedMask, run lengths": partial(predict, mask_format="rle"),
        "dense definition": dense,
        "dense definition, encoded": lambda: encode_mask_results(dense().cpu().numpy()),
        "CondInst": condinst,
        "CondInst, encoded": lambda: encode_mask_results(condinst().cpu().numpy()),
    }


def write_output(stage: MaskStage) -> Tensor:
    """Masks of the result's shape, every pixel written: the FLOOR."""
    # torch.zeros would only ask the system for memory.
    shape = (stage.instances, *stage.size)
    return torch.empty(shape, dtype=torch.bool, device=stage.device).fill_(False)


def _condinst(stage: MaskStage) -> Callable[[], Tensor]:
    """CondInst of MMDetection, from mask features and dynamic parameters, whatever they hold."""
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
    ).to(stage.device)  # fmt: skip
    pixels, _, _, boxes = stage.embeddings()
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(8, *pixels.shape[1:], generator=generator).to(stage.device)
    found = InstanceData(
        param_preds=torch.randn(stage.instances, 169, generator=generator).to(stage.device),
        points=(boxes[:, :2] + boxes[:, 2:]) / 2,
        strides=boxes.new_full((stage.instances,), STRIDE),
    )
    factor = tuple(n / o for n, o in zip(stage.img_shape[::-1], stage.size[::-1], strict=True))
    meta = dict(img_shape=stage.img_shape, ori_shape=stage.size, scale_factor=factor)

    def run() -> Tensor:
        (maps,) = head.forward_single(features, found)
        masks: Tensor = head._predict_by_feat_single(maps, boxes.clone(), meta, rescale=True)
        return masks

    return run


def time_mask_stages(
    stage: MaskStage, runs: int, warmup: int, clock: Clock | None = None
) -> dict[str, list[float]]:
    """Milliseconds of every run of each of `mask_stages`, until its masks have been read once.

    Args:
        stage: what they are given; they run in turns.
        runs: measured runs of each.
        warmup: runs of each before those.
        clock: takes the times; None: the device's.
    """
    clock = clock or clock_for(torch.device(stage.device))
    steps = {
        name: partial(milliseconds, partial(make_and_read, make), clock)
        for name, make in mask_stages(stage).items()
    }
    return take_turns(steps, runs, warmup)


@torch.no_grad()
def make_and_read(make: Callable[[], Any]) -> Any:
    """Masks, once they have been read."""
    masks = make()
    read_masks(masks)
    return masks


def mask_stage_memory(stage: MaskStage, threads: int) -> dict[str, int]:
    """Peak bytes of each of `mask_stages` beyond its inputs.

    On the CPU resident, each in a new process; on a GPU what torch has allocated there, in this
    one.

    Args:
        stage: what they are given.
        threads: CPU threads of torch; on a GPU they stay as they are.
    """
    stages = mask_stages(stage)
    if stage.device != "cpu":
        return {name: mask_peak(make) for name, make in stages.items()}
    return {name: in_new_process(with_threads, threads, _peak, stage, name) for name in stages}


def mask_peak(make: Callable[[], Any]) -> int:
    """Peak bytes of one of `mask_stages` on a GPU, beyond its inputs.

    What its first call leaves for all later ones, such as the workspaces of matrix products, is no
    part of it.
    """
    make_and_read(make)
    return peak_of(partial(make_and_read, make), on_gpu=True)


def _peak(stage: MaskStage, name: str) -> int:
    return peak_of(partial(make_and_read, mask_stages(stage)[name]), on_gpu=False)
