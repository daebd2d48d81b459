"""Builds our heads with the weights of the authors' fused program and reads its ground truth."""

from collections.abc import Mapping

import numpy as np
import torch
from golden_weights import golden_weights, part_of_ours
from mmdet.registry import MODELS
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmdet_embedmask.conversion.families import FUSED
from mmdet_embedmask.layers import ProposalBranch

STRIDES = (8, 16, 32, 64, 128)
PADDED = (128, 160)
NUM_CLASSES = 5
NORM = dict(type="BN")


def features(golden: Mapping[str, np.ndarray], dtype: torch.dtype) -> list[Tensor]:
    return [torch.from_numpy(golden[f"feature/p{level}"]).to(dtype) for level in range(3, 8)]


def build_pixel_head(golden: Mapping[str, np.ndarray], dtype: torch.dtype) -> nn.Module:
    """Fused pixel head with its semantic branch; every weight is used on both sides."""
    head = MODELS.build(
        dict(
            type="PixelEmbedHead",
            in_channels=64,
            feat_channels=32,
            embed_dim=16,
            tower="fused",
            norm_cfg=NORM,
            learnable_position_scale=False,
            upsample_mode="aligned",
            semantic_branch=dict(
                type="SemanticBranch", num_classes=NUM_CLASSES, feat_channels=32, norm_cfg=NORM
            ),
        )
    ).to(dtype)
    theirs = golden_weights(golden, dtype, "state_dict/")
    head.load_state_dict(part_of_ours(theirs, FUSED, "mask_head."), strict=True)
    return head


def build_proposal_branch(
    golden: Mapping[str, np.ndarray], variant: str, dtype: torch.dtype
) -> ProposalBranch:
    """Proposal branch with ('Conv1_Conv3') or without ('Conv3') its 1x1 convolutions."""
    reduce_channels = 128 if variant == "Conv1_Conv3" else None
    branch = ProposalBranch(64, 16, STRIDES, reduce_channels=reduce_channels).to(dtype)
    theirs = golden_weights(golden, dtype, "state_dict/", f"state_dict_{variant}/")
    state = part_of_ours(theirs, FUSED, "bbox_head.proposal_branch.")
    branch.load_state_dict(state, strict=True)
    return branch


def ground_truth(golden: Mapping[str, np.ndarray]) -> list[InstanceData]:
    """The two golden images' ground truth, masks padded."""
    batch = []
    for image in range(2):
        width = golden[f"gt/{image}/masks_shape"][2]
        masks = np.unpackbits(golden[f"gt/{image}/masks_packed"], axis=-1)[..., :width]
        batch.append(
            InstanceData(
                bboxes=torch.from_numpy(golden[f"gt/{image}/boxes_xyxy"]),
                labels=torch.from_numpy(golden[f"gt/{image}/classes0"]),
                masks=BitmapMasks(masks, *masks.shape[1:]).pad(PADDED),
            )
        )
    return batch
