"""Builds our heads with the golden weights and reads the golden ground truth."""

from collections.abc import Mapping

import numpy as np
import torch
from golden_weights import golden_weights, part_of_ours
from mmdet.registry import MODELS
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmdet_embedmask.conversion.families import PLAIN
from mmdet_embedmask.conversion.plain_program import divide_embedding_weights

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
        embed_reduce_factor: their divisor of the tower before the embedding convolutions.
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
    theirs = golden_weights(golden, dtype, "state_dict/")
    theirs = divide_embedding_weights(theirs, embed_reduce_factor)
    proposal_head.load_state_dict(part_of_ours(theirs, PLAIN, "bbox_head."), strict=True)
    pixel_head.load_state_dict(part_of_ours(theirs, PLAIN, "mask_head."), strict=True)
    return proposal_head, pixel_head


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
