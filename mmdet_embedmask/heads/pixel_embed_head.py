"""Head that embeds pixels and couples them with proposals (paper sections 3.1, 3.3 to 3.5).

Shapes used in this module:

    N: images, D: embedding channels, h, w: size of the finest level, K: proposals of one image
"""

from functools import partial
from typing import Any, get_args

import torch
from mmdet.models.dense_heads.base_mask_head import BaseMaskHead
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from ..functional.coupling import Upsample, coupled_probabilities
from ..functional.geometry import MASK_STRIDE, MASK_UPSAMPLE, cell_positions
from ..functional.mask_loss import mask_losses
from ..functional.mask_prediction import MaskRecipe, crop_to_boxes, predict_masks
from ..functional.mask_targets import MaskTarget, mask_stride_targets
from ..layers import (
    EMBEDDINGS,
    PIXEL_TOWERS,
    EmbeddingPrediction,
    SpatialEmbedding,
    part_dims,
    rename_older,
)
from ..options import MASK_FORMATS, MASK_RESIZES, check_embed_dim, check_option
from .detections import ends_inclusive, exclusive_boxes
from .ground_truth import ground_truth_masks

MASK_LOSS_MEANS = ("images", "proposals")


@MODELS.register_module()
class PixelEmbedHead(BaseMaskHead):
    """Pixel head of EmbedMask: a tower on the neck's levels, the mask loss and the masks.

    Args:
        in_channels: channels of the neck's levels.
        feat_channels: channels of the tower.
        stacked_convs: convolutions of the tower.
        embed_dim: D with both parts of the embedding, the same as the proposal head's.
        embedding: 'both' parts, one part alone, or 'coord_conv', as the proposal head's.
        stride: of P3 in pixels; masks are learned at half of it.
        tower: 'plain' on P3 (Table 1) or 'fused' from P3 to P5 (Table 2).
        learnable_position_scale: False: positions are in 100 pixels (Table 2).
        upsample: how the mask stride is reached: see `coupling.coupled_logits`.
        mask_target: how masks become targets: see `mask_targets.mask_stride_targets`.
        mask_loss_mean: the mask loss is the mean over 'images' of the mean over an image's
            proposals (Table 1), or the mean over all 'proposals' (Table 2).
        norm_cfg: normalisation of the tower.
        loss_mask: a loss on mask logits that keeps one value an instance with
            ``reduction_override='none'``; its ``loss_weight`` is the paper's lambda.
        semantic_branch: config of a SemanticBranch, for the auxiliary loss of Table 2; None: none.
        train_cfg: not used; every head of MMDetection is given it.
        test_cfg: ``mask_thr``: a pixel belongs to a mask if its probability is greater;
            ``crop_to_box`` (False): masks end two stride-4 cells outside their box (released);
            ``inclusive_boxes`` (False): boxes end with their last pixel (released);
            ``mask_resize`` ('bilinear'): 'aligned' where targets are read at points;
            ``mask_format`` ('bitmap'): 'rle' gives run-length codes, without full-size masks.
        init_cfg: initialisation.
    """

    _version = 2

    def __init__(
        self,
        in_channels: int = 256,
        feat_channels: int = 256,
        stacked_convs: int = 4,
        embed_dim: int = 16,
        embedding: str = "both",
        stride: int = 8,
        tower: str = "plain",
        learnable_position_scale: bool = True,
        upsample: Upsample = "probability",
        mask_target: MaskTarget = "bilinear",
        mask_loss_mean: str = "images",
        norm_cfg: dict[str, Any] = dict(type="GN", num_groups=32, requires_grad=True),  # noqa: B006
        loss_mask: dict[str, Any] = dict(type="LovaszHingeLoss", loss_weight=0.5),  # noqa: B006
        semantic_branch: dict[str, Any] | None = None,
        train_cfg: ConfigDict | None = None,
        test_cfg: ConfigDict | None = None,
        init_cfg: dict[str, Any] = dict(type="Normal", layer="Conv2d", std=0.01),  # noqa: B006
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.embed_dim = check_embed_dim(embed_dim)
        self.embedding = check_option("embedding", embedding, EMBEDDINGS)
        self.spatial_aware_dim, self.spatial_free_dim = part_dims(embedding, embed_dim)
        self.stride = check_option("stride", stride, (MASK_STRIDE * MASK_UPSAMPLE,))
        self.upsample = check_option("upsample", upsample, get_args(Upsample))
        self.mask_target = check_option("mask_target", mask_target, get_args(MaskTarget))
        self.mask_loss_mean = check_option("mask_loss_mean", mask_loss_mean, MASK_LOSS_MEANS)
        check_option("tower", tower, tuple(PIXEL_TOWERS))
        check_option("learnable_position_scale", learnable_position_scale, (True, False))
        # To learn a head needs none; EmbedMask refuses to be without.
        self.test_cfg: ConfigDict = test_cfg
        self.loss_mask = MODELS.build(loss_mask)
        self.tower = PIXEL_TOWERS[tower](in_channels, feat_channels, stacked_convs, norm_cfg)
        self.embedding_prediction = EmbeddingPrediction(
            self.tower.out_channels, embed_dim, embedding
        )
        self.spatial_embedding = SpatialEmbedding(embedding, learnable_position_scale)
        self.semantic_branch = None
        if semantic_branch is not None:
            self.semantic_branch = MODELS.build(dict(in_channels=in_channels) | semantic_branch)

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
        offsets = self.embedding_prediction(self.tower(x), self.stride)
        return (self.spatial_embedding(offsets, cell_positions(offsets, self.stride)),)

    def loss(
        self,
        x: tuple[Tensor, ...],
        batch_data_samples: list[DetDataSample],
        positive_infos: list[InstanceData],
    ) -> dict[str, Tensor]:
        """Mask loss, and the auxiliary semantic loss where there is its branch.

        Args:
            x: levels of the neck.
            batch_data_samples: with ``gt_instances``.
            positive_infos: see `loss_by_feat`.

        Returns:
            ``loss_mask`` and, with a semantic branch, ``loss_semantic``.
        """
        losses: dict[str, Tensor] = super().loss(x, batch_data_samples, positive_infos)
        if self.semantic_branch is not None:
            # The parent has padded the masks.
            truth = [sample.gt_instances for sample in batch_data_samples]
            losses["loss_semantic"] = self.semantic_branch.loss(
                x[0], [ground_truth_masks(gt) for gt in truth], [gt.labels for gt in truth]
            )
        return losses

    def loss_by_feat(
        self,
        pixel_embedding: Tensor,
        batch_gt_instances: list[InstanceData],
        batch_img_metas: list[dict[str, Any]],
        positive_infos: list[InstanceData],
        batch_gt_instances_ignore: list[InstanceData] | None = None,
    ) -> dict[str, Tensor]:
        """Mask loss, averaged as ``mask_loss_mean`` says.

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
            masks = ground_truth_masks(gt_instances)
            targets = mask_stride_targets(masks, self.mask_target).to(pixels.device)
            losses.append(
                mask_losses(
                    pixels,
                    *self.embedding_and_margin(proposals),
                    targets,
                    proposals.gt_inds,
                    self.upsample,
                    partial(self.loss_mask, reduction_override="none"),
                )
            )
        # Not a branch on K: without proposals the sums still reach every parameter.
        if self.mask_loss_mean == "proposals":
            loss = torch.cat(losses)
            return dict(loss_mask=loss.sum() / max(len(loss), 1))
        means = [loss.sum() / max(len(loss), 1) for loss in losses]
        return dict(loss_mask=torch.stack(means).mean())

    def predict_by_feat(
        self,
        pixel_embedding: Tensor,
        batch_img_metas: list[dict[str, Any]],
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
            (K, height, width) bool, or K run-length codes.
        """
        return [
            self._predict_by_feat_single(pixels, results, meta, rescale)
            for pixels, results, meta in zip(
                pixel_embedding, results_list, batch_img_metas, strict=True
            )
        ]

    def _predict_by_feat_single(
        self, pixels: Tensor, results: InstanceData, meta: dict[str, Any], rescale: bool
    ) -> InstanceData:
        """Masks of one image; see `predict_by_feat`."""
        shape = meta["ori_shape"] if rescale else meta["img_shape"]
        masks = predict_masks(
            pixels,
            *self.embedding_and_margin(results),
            results.bboxes,
            meta["img_shape"][:2],
            shape[:2],
            self.mask_recipe,
        )
        scale_factor = meta["scale_factor"] if rescale else (1.0, 1.0)
        bboxes = exclusive_boxes(results.bboxes, scale_factor, self.inclusive_boxes)
        return InstanceData(
            bboxes=bboxes, scores=results.scores, labels=results.labels, masks=masks
        )

    @property
    def inclusive_boxes(self) -> bool:
        """Whether the boxes of the proposal head end with their last pixel."""
        return ends_inclusive(self.test_cfg)

    @property
    def mask_recipe(self) -> MaskRecipe:
        """How masks are made, by the settings of head and ``test_cfg``."""
        return MaskRecipe(
            mask_thr=self.test_cfg.mask_thr,
            upsample=self.upsample,
            resize=self.test_cfg.get("mask_resize", MASK_RESIZES[0]),
            crop_to_box=self.test_cfg.get("crop_to_box", False),
            mask_format=self.test_cfg.get("mask_format", MASK_FORMATS[0]),
        )

    def mask_probabilities(self, pixels: Tensor, results: InstanceData) -> Tensor:
        """Mask probabilities of one image's detections at the mask stride.

        Args:
            pixels: (D, h, w) pixel embedding.
            results: from the proposal head, not rescaled; as `predict_by_feat`'s.

        Returns:
            (K, 2h, 2w) over the padded network input, cropped if ``test_cfg.crop_to_box``.
        """
        probability = coupled_probabilities(
            pixels, *self.embedding_and_margin(results), self.upsample
        )
        if self.mask_recipe.crop_to_box:
            probability = crop_to_boxes(probability, results.bboxes)
        return probability

    def embedding_and_margin(self, proposals: InstanceData) -> tuple[Tensor, Tensor]:
        """Proposal embedding with position added, and proposal margin: (K, D) each."""
        embedding = self.spatial_embedding(proposals.proposal_embeddings, proposals.priors)
        return embedding, proposals.proposal_margins

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        """Also load what version 1 saved."""
        renamed = {"conv_spatial_": "embedding_prediction.conv_spatial_"}
        # Version 1 knew the plain tower alone, as a sequence.
        renamed |= {f"tower.{i}.": f"tower.convs.{i}." for i in range(len(self.tower.convs))}
        rename_older(state_dict, prefix, local_metadata, self._version, renamed)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
