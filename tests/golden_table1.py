"""Builds our heads with the golden weights and reads the golden ground truth."""

from collections.abc import Mapping

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from torch import Tensor, nn

NUM_LEVELS = 5
STRIDES = (8, 16, 32, 64, 128)
PADDED = (256, 320)


def levels(golden: Mapping[str, np.ndarray], name: str, dtype: torch.dtype) -> list[Tensor]:
    """Arrays ``name/0`` to ``name/4`` as tensors."""
    return [torch.from_numpy(golden[f"{name}/{i}"]).to(dtype) for i in range(NUM_LEVELS)]


def build_heads(
    golden: Mapping[str, np.ndarray],
    dtype: torch.dtype,
    embed_reduce_factor: float = 1.0,
    bbox_head: dict | None = None,
    mask_head: dict | None = None,
) -> tuple[nn.Module, nn.Module]:
    """Our two heads with the weights of the authors' head.

    Args:
        golden: of a table1_head file.
        dtype: of the heads.
        embed_reduce_factor: their divisor of the tower before the embedding convolutions, which
            we do not have: it is the same as dividing the convolutions' weights.
        bbox_head: overrides of the proposal head's config.
        mask_head: overrides of the pixel head's config.
    """
    feature_channels = golden["feature/0"].shape[1]
    embed_dim = golden["train/pixel_embed"].shape[1]
    common = dict(in_channels=feature_channels, feat_channels=feature_channels, embed_dim=embed_dim)
    proposal_head = MODELS.build(
        dict(type="EmbedMaskHead", num_classes=5, strides=STRIDES, **common, **(bbox_head or {}))
    ).to(dtype)
    pixel_head = MODELS.build(dict(type="PixelEmbedHead", **common, **(mask_head or {}))).to(dtype)
    state = {
        name.removeprefix("state_dict/rpn.head."): torch.from_numpy(array).to(dtype)
        for name, array in golden.items()
        if name.startswith("state_dict/")
    }
    for name in state:
        if "embed_pred.weight" in name:
            state[name] = state[name] / embed_reduce_factor
    _load(proposal_head, state, _proposal_names())
    _load(pixel_head, state, _pixel_names())
    return proposal_head, pixel_head


def _load(head: nn.Module, state: dict[str, Tensor], names: dict[str, str]) -> None:
    """Load by name; neither side may have anything left over."""
    own = head.state_dict()
    theirs = {ours: state[name].reshape(own[ours].shape) for name, ours in names.items()}
    head.load_state_dict(theirs, strict=True)


def _tower(theirs: str, ours: str) -> dict[str, str]:
    return {
        f"{theirs}.{3 * i + offset}.{kind}": f"{ours}.{i}.{layer}.{kind}"
        for i in range(4)
        for offset, layer in enumerate(("conv", "gn"))
        for kind in ("weight", "bias")
    }


def _convs(pairs: dict[str, str]) -> dict[str, str]:
    return {f"{a}.{kind}": f"{b}.{kind}" for a, b in pairs.items() for kind in ("weight", "bias")}


def _proposal_names() -> dict[str, str]:
    names = _tower("cls_tower", "cls_convs") | _tower("bbox_tower", "reg_convs")
    names |= _convs(
        {
            "cls_logits": "conv_cls",
            "bbox_pred": "conv_reg",
            "centerness": "conv_centerness",
            "proposal_spatial_embed_pred": "proposal_branch.embedding.conv_spatial_aware",
            "proposal_other_embed_pred": "proposal_branch.embedding.conv_spatial_free",
            "proposal_margin_pred": "proposal_branch.conv_margin",
        }
    )
    for i in range(NUM_LEVELS):
        names[f"scales.{i}.scale"] = f"scales.{i}.scale"
        names[f"margin_scales.{i}.scale"] = f"proposal_branch.margin_scales.{i}.scale"
    return names


def _pixel_names() -> dict[str, str]:
    names = _tower("mask_tower", "tower.convs")
    names |= _convs(
        {
            "pixel_spatial_embed_pred": "embedding_prediction.conv_spatial_aware",
            "pixel_other_embed_pred": "embedding_prediction.conv_spatial_free",
        }
    )
    names["position_scale.scale"] = "spatial_embedding.position_scale.scale"
    return names


def ground_truth(golden: Mapping[str, np.ndarray], dtype: torch.dtype) -> list[InstanceData]:
    """The two golden images' ground truth, masks padded; their labels start at 1, ours at 0."""
    batch = []
    for image in range(2):
        width = golden[f"gt/{image}/masks_shape"][2]
        masks = np.unpackbits(golden[f"gt/{image}/masks_packed"], axis=-1)[..., :width]
        batch.append(
            InstanceData(
                bboxes=torch.from_numpy(golden[f"gt/{image}/boxes_xyxy"]).to(dtype),
                labels=torch.from_numpy(golden[f"gt/{image}/labels"]) - 1,
                masks=BitmapMasks(masks, *masks.shape[1:]).pad(PADDED),
            )
        )
    return batch


def metas() -> list[dict]:
    return [dict(batch_input_shape=PADDED, img_shape=PADDED) for _ in range(2)]
