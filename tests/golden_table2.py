"""Builds our heads with the weights of the authors' Table 2 program and reads its ground truth."""

from collections.abc import Mapping

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmdet_embedmask.layers import ProposalBranch

STRIDES = (8, 16, 32, 64, 128)
PADDED = (128, 160)
NUM_CLASSES = 5
TOWER_CONVS = 4
NORM = dict(type="BN")


def features(golden: Mapping[str, np.ndarray], dtype: torch.dtype) -> list[Tensor]:
    return [torch.from_numpy(golden[f"feature/p{level}"]).to(dtype) for level in range(3, 8)]


def weights(golden: Mapping[str, np.ndarray], prefix: str, dtype: torch.dtype) -> dict[str, Tensor]:
    """Arrays whose name starts with the prefix, by what follows it."""
    return {
        name.removeprefix(prefix): torch.from_numpy(array).to(dtype)
        for name, array in golden.items()
        if name.startswith(prefix)
    }


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
            upsample="aligned",
            semantic_branch=dict(
                type="SemanticBranch", num_classes=NUM_CLASSES, feat_channels=32, norm_cfg=NORM
            ),
        )
    ).to(dtype)
    theirs = weights(golden, "state_dict/mask_branch.", dtype)
    state = {_pixel_name(name): value for name, value in theirs.items()}
    for part, ours in (("spatial", "aware"), ("free", "free")):
        prefix = f"state_dict/pixel_head.{part}_embed_head."
        for kind, value in weights(golden, prefix, dtype).items():
            state[f"embedding_prediction.conv_spatial_{ours}.{kind}"] = value
    # The file holds no counters of BatchNorm's batches.
    counters = {k: v for k, v in head.state_dict().items() if k.endswith("num_batches_tracked")}
    head.load_state_dict(state | counters, strict=True)
    return head


def _pixel_name(theirs: str) -> str:
    """Our name of a parameter of their mask branch."""
    part, *rest = theirs.split(".")
    if part == "logits":
        return f"semantic_branch.conv_semantic.{rest[0]}"
    ours = {"refine": "tower.refine", "tower": "tower.convs", "seg_head": "semantic_branch.convs"}
    if len(rest) == 2:  # the last convolution of the tower has no norm
        return f"{ours[part]}.{rest[0]}.{rest[1]}"
    index, layer, kind = rest
    return f"{ours[part]}.{index}.{('conv', 'bn')[int(layer)]}.{kind}"


def build_proposal_branch(
    golden: Mapping[str, np.ndarray], variant: str, dtype: torch.dtype
) -> ProposalBranch:
    """Proposal branch with ('Conv1_Conv3') or without ('Conv3') its 1x1 convolutions."""
    reduce_channels = 128 if variant == "Conv1_Conv3" else None
    branch = ProposalBranch(64, 16, STRIDES, reduce_channels=reduce_channels).to(dtype)
    theirs = weights(golden, f"state_dict_{variant}/proposal_head.", dtype)
    state = {}
    for kind in ("weight", "bias"):
        state[f"embedding.conv_spatial_aware.{kind}"] = theirs.pop(
            f"embed_head.spatial_embed_head.{kind}"
        )
        state[f"embedding.conv_spatial_free.{kind}"] = theirs.pop(
            f"embed_head.free_embed_head.{kind}"
        )
        state[f"conv_margin.{kind}"] = torch.cat(
            [theirs.pop(f"{part}_margin_head.{kind}") for part in ("spatial", "free")]
        )
        if reduce_channels:
            state[f"reduce_embedding.{kind}"] = theirs.pop(f"embed_conv.{kind}")
            state[f"reduce_margin.{kind}"] = theirs.pop(f"margin_conv.{kind}")
    for name in list(theirs):
        state[name] = theirs.pop(name).reshape(())  # the scales of the levels
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
