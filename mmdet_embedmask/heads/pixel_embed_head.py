"""Head that embeds pixels and couples them with proposals (paper sections 3.1, 3.3 to 3.5).

Shapes used in this module:

    N: images, D: embedding channels, h, w: size of the finest level, K: proposals of one image
"""

from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmdet.models.dense_heads.base_mask_head import BaseMaskHead
from mmdet.registry import MODELS
from mmdet.structures.bbox import scale_boxes
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ..coupling import MASK_UPSAMPLE, SPATIAL_AWARE_DIM, coupled_logits, coupled_probabilities
from ..layers import SpatialEmbedding
from ..mask_prediction import crop_to_boxes, predict_masks
from ..mask_targets import MASK_STRIDE, mask_stride_targets
from ..validation import check_embed_dim, check_option
from .ground_truth import ground_truth_masks

UPSAMPLES = ("probability", "embedding")


@MODELS.register_module()
class PixelEmbedHead(BaseMaskHead):
    """Pixel head of EmbedMask: a tower on P3, the mask loss and the masks.

    Args:
        in_channels: channels of P3.
        feat_channels: channels of the tower.
        stacked_convs: convolutions of the tower.
        embed_dim: D, the same as the proposal head's.
        stride: of P3 in pixels; masks are learned at half of it.
        upsample: what is resized to the mask stride: the 'probability' map (paper section 3.5) or
            the pixel 'embedding' (released Table 1 program).
        norm_cfg: normalisation of the tower.
        loss_mask: a loss on mask logits that keeps one value an instance with
            ``reduction_override='none'``; its ``loss_weight`` is the paper's lambda.
        train_cfg: not used; every head of MMDetection is given it.
        test_cfg: ``mask_thr``: a pixel belongs to a mask if its probability is greater;
            ``crop_to_box`` (False): masks end two stride-4 cells outside their box (released).
        init_cfg: initialisation.
    """

    def __init__(
        self,
        in_channels: int = 256,
        feat_channels: int = 256,
        stacked_convs: int = 4,
        embed_dim: int = 16,
        stride: int = 8,
        upsample: str = "probability",
        norm_cfg: dict[str, Any] = dict(type="GN", num_groups=32, requires_grad=True),  # noqa: B006
        loss_mask: dict[str, Any] = dict(type="LovaszHingeLoss", loss_weight=0.5),  # noqa: B006
        train_cfg: ConfigDict | None = None,
        test_cfg: ConfigDict | None = None,
        init_cfg: dict[str, Any] = dict(type="Normal", layer="Conv2d", std=0.01),  # noqa: B006
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.embed_dim = check_embed_dim(embed_dim)
        self.stride = check_option("stride", stride, (MASK_STRIDE * MASK_UPSAMPLE,))
        self.upsample = check_option("upsample", upsample, UPSAMPLES)
        self.test_cfg = test_cfg
        self.loss_mask = MODELS.build(loss_mask)
        channels = [in_channels] + [feat_channels] * stacked_convs
        self.tower = nn.Sequential(
            *(
                ConvModule(c_in, c_out, 3, padding=1, bias=True, norm_cfg=norm_cfg)
                for c_in, c_out in zip(channels[:-1], channels[1:], strict=True)
            )
        )
        self.conv_spatial_aware = nn.Conv2d(channels[-1], SPATIAL_AWARE_DIM, 3, padding=1)
        self.conv_spatial_free = nn.Conv2d(
            channels[-1], embed_dim - SPATIAL_AWARE_DIM, 3, padding=1
        )
        self.spatial_embedding = SpatialEmbedding()

    def forward(
        self, x: tuple[Tensor, ...], positive_infos: list[InstanceData] | None = None
    ) -> tuple[Tensor]:
        """Embed every pixel of P3.

        Args:
            x: levels of the neck, the finest first, each (N, C, h, w).
            positive_infos: not used: pixels do not depend on proposals.

        Returns:
            Pixel embedding (N, D, h, w), positions added, float32.
        """
        feature = self.tower(x[0])
        offsets = torch.cat(
            [self.conv_spatial_aware(feature), self.conv_spatial_free(feature)], dim=1
        )
        positions = pixel_positions(offsets, self.stride)
        return (self.spatial_embedding(offsets, positions),)

    def loss_by_feat(
        self,
        pixel_embedding: Tensor,
        batch_gt_instances: list[InstanceData],
        batch_img_metas: list[dict],
        positive_infos: list[InstanceData],
        batch_gt_instances_ignore: list[InstanceData] | None = None,
    ) -> dict[str, Tensor]:
        """Mask loss: mean over an image's proposals, then over images (Table 1).

        Args:
            pixel_embedding: (N, D, h, w).
            batch_gt_instances: with ``masks`` of the padded network input.
            batch_img_metas: not used.
            positive_infos: from the proposal head; of each image ``gt_inds`` (K,), ``priors``
                (K, 2), ``proposal_embeddings`` (K, D), ``proposal_margins`` (K, D).
            batch_gt_instances_ignore: not used.

        Returns:
            ``loss_mask``; zero, with zero gradients, where no image has a proposal.
        """
        losses = []
        for pixels, proposals, gt_instances in zip(
            pixel_embedding, positive_infos, batch_gt_instances, strict=True
        ):
            logits = coupled_logits(pixels, *self._embedding_and_margin(proposals), self.upsample)
            targets = mask_stride_targets(ground_truth_masks(gt_instances)).to(logits.device)
            loss = self.loss_mask(logits, targets[proposals.gt_inds], reduction_override="none")
            # Not a branch on K: without proposals the sum still reaches every parameter.
            losses.append(loss.sum() / max(len(loss), 1))
        return dict(loss_mask=torch.stack(losses).mean())

    def predict_by_feat(
        self,
        pixel_embedding: Tensor,
        batch_img_metas: list[dict],
        rescale: bool,
        results_list: list[InstanceData],
    ) -> list[InstanceData]:
        """Masks of the detected instances.

        Args:
            pixel_embedding: (N, D, h, w).
            batch_img_metas: with ``img_shape``, ``ori_shape``, ``scale_factor``.
            rescale: boxes and masks in pixels of the original image, else of the network input.
            results_list: from the proposal head, not rescaled.

        Returns:
            For every image ``bboxes`` (K, 4), ``scores`` (K,), ``labels`` (K,), ``masks``
            (K, height, width) bool.
        """
        return [
            self._predict_by_feat_single(pixels, results, meta, rescale)
            for pixels, results, meta in zip(
                pixel_embedding, results_list, batch_img_metas, strict=True
            )
        ]

    def _predict_by_feat_single(
        self, pixels: Tensor, results: InstanceData, meta: dict, rescale: bool
    ) -> InstanceData:
        """Masks of one image; see `predict_by_feat`."""
        probability = coupled_probabilities(
            pixels, *self._embedding_and_margin(results), self.upsample
        )
        bboxes = results.bboxes
        if self.test_cfg.get("crop_to_box", False):
            probability = crop_to_boxes(probability, bboxes)
        shape = meta["ori_shape"] if rescale else meta["img_shape"]
        if rescale:
            bboxes = scale_boxes(bboxes, [1 / factor for factor in meta["scale_factor"]])
        return InstanceData(
            bboxes=bboxes,
            scores=results.scores,
            labels=results.labels,
            masks=predict_masks(
                probability, meta["img_shape"][:2], shape[:2], self.test_cfg.mask_thr
            ),
        )

    def _embedding_and_margin(self, proposals: InstanceData) -> tuple[Tensor, Tensor]:
        """Proposal embedding with position added, and proposal margin: (K, D) each."""
        embedding = self.spatial_embedding(proposals.proposal_embeddings, proposals.priors)
        return embedding, proposals.proposal_margins


def pixel_positions(maps: Tensor, stride: int) -> Tensor:
    """Centres of the cells of a map in pixels of the network input, as FCOS's points.

    Args:
        maps: (N, C, h, w); gives size, dtype and device.
        stride: of the map.

    Returns:
        (1, 2, h, w) as (x, y), float32 at least.
    """
    height, width = maps.shape[-2:]
    options = dict(device=maps.device, dtype=torch.promote_types(maps.dtype, torch.float32))
    y = (torch.arange(height, **options) + 0.5) * stride
    x = (torch.arange(width, **options) + 0.5) * stride
    return torch.stack(torch.meshgrid(x, y, indexing="xy"))[None]
