"""Head that embeds pixels and couples them with proposals (paper sections 3.1, 3.3 to 3.5).

Shapes used in this module:

    N: images, D: embedding channels, h, w: size of the pixel embedding, K: proposals of one image
"""

from functools import partial
from typing import Any, get_args

import torch
import torch.nn.functional as F  # noqa: N812
from mmcv.cnn import ConvModule
from mmdet.models.dense_heads.base_mask_head import BaseMaskHead
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from ..functional.coupling import Upsample, coupled_probabilities
from ..functional.dense_masks import MaskRecipe, crop_to_boxes
from ..functional.geometry import MASK_UPSAMPLE, P2_STRIDE, P3_STRIDE, cell_positions
from ..functional.mask_loss import mask_losses
from ..functional.mask_prediction import MaskFormat, predict_masks
from ..functional.mask_targets import MaskTarget, mask_stride_targets
from ..functional.proposal_frame import in_embedding_units
from ..functional.resize import ResizeMode
from ..layers import (
    PIXEL_TOWERS,
    EmbeddingPrediction,
    SpatialEmbedding,
    part_dims,
    rename_older,
)
from ..options import Embedding, MaskLossMean, Tower, check_embed_dim, check_option
from .detections import check_whole_image, ends_inclusive, exclusive_boxes


@MODELS.register_module()
class PixelEmbedHead(BaseMaskHead):
    """Pixel head of EmbedMask: a tower on the neck's levels, the mask loss and the masks.

    Args:
        in_channels: channels of the neck's levels.
        feat_channels: channels of the tower.
        stacked_convs: convolutions of the tower.
        embed_dim: D with both parts of the embedding, the same as the proposal head's.
        embedding: 'both' parts, one part alone, or 'coord_conv', as the proposal head's.
        tower: 'plain' on P3, or 'fused' from P3 to P5.
        stride: of the pixel embedding in pixels; masks are learned at half of it. 4 (ours): the
            tower's output is up-sampled.
        reads_p2: whether the neck begins with P2, which is then added to the up-sampled output
            (ours).
        learnable_position_scale: False: u = (x, y) / 100 (fused).
        upsample: what is resized to the mask stride: 'probability' (paper) or 'embedding' (the
            released plain program).
        upsample_mode: how: 'bilinear', or 'aligned' (fused).
        mask_target: how masks become targets: see `mask_targets.mask_stride_targets`.
        mask_loss_mean: the mask loss is the mean over 'images' of the mean over an image's
            proposals (plain), or the mean over all 'proposals' (fused).
        norm_cfg: normalisation of the tower.
        loss_mask: a loss on mask logits that keeps one value an instance with
            ``reduction_override='none'``; its ``loss_weight`` is the paper's lambda.
        semantic_branch: config of a SemanticBranch, for the auxiliary loss of the fused program.
        train_cfg: not used; every head of MMDetection is given it.
        test_cfg: ``mask_thr``: a pixel belongs to a mask if its probability is greater;
            ``crop_to_box`` (False): masks end two mask-stride cells outside their box (plain);
            ``inclusive_boxes`` (False): boxes end with their last pixel (plain);
            ``mask_resize`` ('bilinear'): how the network input is reached from the mask stride,
            'aligned' where targets are read at points (fused);
            ``mask_format`` ('bitmap'): 'rle' gives run-length codes, without full-size masks.
        init_cfg: initialisation.
    """

    _version = 2

    def __init__(
        self,
        *,
        in_channels: int = 256,
        feat_channels: int = 256,
        stacked_convs: int = 4,
        embed_dim: int = 16,
        embedding: Embedding = "both",
        tower: Tower = "plain",
        stride: int = P3_STRIDE,
        reads_p2: bool = False,
        learnable_position_scale: bool = True,
        upsample: Upsample = "probability",
        upsample_mode: ResizeMode = "bilinear",
        mask_target: MaskTarget = "bilinear",
        mask_loss_mean: MaskLossMean = "images",
        norm_cfg: dict[str, Any] = dict(type="GN", num_groups=32, requires_grad=True),  # noqa: B006
        loss_mask: dict[str, Any] = dict(type="LovaszHingeLoss", loss_weight=0.5),  # noqa: B006
        semantic_branch: dict[str, Any] | None = None,
        train_cfg: ConfigDict | None = None,
        test_cfg: ConfigDict | None = None,
        init_cfg: dict[str, Any] = dict(type="Normal", layer="Conv2d", std=0.01),  # noqa: B006
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.embed_dim = check_embed_dim(embed_dim)
        self.embedding = check_option("embedding", embedding, get_args(Embedding))
        self.spatial_aware_dim, self.spatial_free_dim = part_dims(embedding, embed_dim)
        self.upsample = check_option("upsample", upsample, get_args(Upsample))
        self.upsample_mode = check_option("upsample_mode", upsample_mode, get_args(ResizeMode))
        self.mask_target = check_option("mask_target", mask_target, get_args(MaskTarget))
        self.mask_loss_mean = check_option("mask_loss_mean", mask_loss_mean, get_args(MaskLossMean))
        check_option("tower", tower, get_args(Tower))
        self.stride = check_option("stride", stride, (P3_STRIDE, P2_STRIDE))
        self.reads_p2 = check_option("reads_p2", reads_p2, (False, True))
        if reads_p2 and stride != P2_STRIDE:
            raise ValueError(
                f"reads_p2=True with stride={stride}: P2 serves a pixel embedding of its own "
                f"stride, set stride={P2_STRIDE}"
            )
        check_option("learnable_position_scale", learnable_position_scale, (True, False))
        # To train a head alone needs none; EmbedMask refuses to be built without.
        self.test_cfg: ConfigDict = test_cfg
        self.loss_mask = MODELS.build(loss_mask)
        self.tower = PIXEL_TOWERS[tower](in_channels, feat_channels, stacked_convs, norm_cfg)
        self.refine_p2 = None
        if reads_p2:
            self.refine_p2 = ConvModule(
                in_channels, self.tower.out_channels, 3, padding=1, norm_cfg=norm_cfg
            )
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
        """Embed every pixel of P3, or of P2.

        Args:
            x: levels of the neck, the finest first, each (N, C, h, w); P2 where it is read.
            positive_infos: not used: pixels do not depend on proposals.

        Returns:
            One tensor: pixel embedding (N, D, h, w), positions added, float32.
        """
        feature: Tensor = self.tower(self._from_p3(x))
        if self.stride != P3_STRIDE:
            feature = F.interpolate(feature, scale_factor=P3_STRIDE // self.stride, mode="bilinear")
        if self.refine_p2 is not None:
            if x[0].shape[2:] != feature.shape[2:]:
                raise ValueError(
                    f"P2 is {tuple(x[0].shape[2:])} and P3 {tuple(x[1].shape[2:])}, not half of "
                    "it: pad images to a multiple of 32 with data_preprocessor.pad_size_divisor=32"
                )
            feature = feature + self.refine_p2(x[0])
        predicted = self.embedding_prediction(feature, self.stride)
        return (self.spatial_embedding(predicted, cell_positions(predicted, self.stride)),)

    def _from_p3(self, x: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Levels of the neck without P2."""
        return x[1:] if self.reads_p2 else x

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
            See `loss_by_feat`.
        """
        losses: dict[str, Tensor] = super().loss(
            x, batch_data_samples, positive_infos, p3=self._from_p3(x)[0]
        )
        return losses

    def loss_by_feat(
        self,
        pixel_embedding: Tensor,
        batch_gt_instances: list[InstanceData],
        batch_img_metas: list[dict[str, Any]],
        positive_infos: list[InstanceData],
        batch_gt_instances_ignore: list[InstanceData] | None = None,
        *,
        p3: Tensor,
    ) -> dict[str, Tensor]:
        """Mask loss, averaged as ``mask_loss_mean`` says, and the semantic loss.

        Args:
            pixel_embedding: (N, D, h, w).
            batch_gt_instances: with ``labels`` and ``masks`` of the padded network input.
            batch_img_metas: not used.
            positive_infos: see `CoupledHead.get_positive_infos`.
            batch_gt_instances_ignore: not used.
            p3: (N, C, H / 8, W / 8) of the neck, for the semantic branch.

        Returns:
            ``loss_mask``; zero, with zero gradients, where no image has a proposal. With a semantic
            branch ``loss_semantic`` too.
        """
        # (G, H, W) uint8 of each image, on the CPU; the tensors share the masks' memory.
        batch_masks = [torch.from_numpy(gt.masks.to_ndarray()) for gt in batch_gt_instances]
        losses = [
            mask_losses(
                pixels,
                *self.embedding_and_margin(proposals),
                targets=mask_stride_targets(masks, self.mask_target, self.mask_stride).to(
                    pixels.device
                ),
                gt_inds=proposals.gt_inds,
                upsample=self.upsample,
                upsample_mode=self.upsample_mode,
                loss=partial(self.loss_mask, reduction_override="none"),
            )
            for pixels, proposals, masks in zip(
                pixel_embedding, positive_infos, batch_masks, strict=True
            )
        ]
        # No branch for K = 0: the sum of no proposals still gives every parameter a gradient.
        groups = [torch.cat(losses)] if self.mask_loss_mean == "proposals" else losses
        means = [group.sum() / max(len(group), 1) for group in groups]
        result = dict(loss_mask=torch.stack(means).mean())
        if self.semantic_branch is not None:
            result["loss_semantic"] = self.semantic_branch.loss(
                p3, batch_masks, [gt.labels for gt in batch_gt_instances]
            )
        return result

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

        Raises:
            ValueError: if an image was padded or cropped before the data preprocessor saw it.
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
        check_whole_image(meta)
        shape = meta["ori_shape"] if rescale else meta["img_shape"]
        masks = predict_masks(
            pixels,
            *self.embedding_and_margin(results),
            results.bboxes,
            img_shape=meta["img_shape"][:2],
            size=shape[:2],
            recipe=self.mask_recipe,
            mask_format=self.mask_format,
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
            upsample_mode=self.upsample_mode,
            resize=self.test_cfg.get("mask_resize", "bilinear"),
            crop_to_box=self.test_cfg.get("crop_to_box", False),
            mask_stride=self.mask_stride,
        )

    @property
    def mask_stride(self) -> int:
        """Stride at which masks are learned and predicted."""
        return self.stride // MASK_UPSAMPLE

    @property
    def mask_format(self) -> MaskFormat:
        """Bitmaps or run lengths, by ``test_cfg``."""
        mask_format: MaskFormat = self.test_cfg.get("mask_format", "bitmap")
        return mask_format

    def mask_probabilities(self, pixels: Tensor, results: InstanceData) -> Tensor:
        """Mask probabilities of one image's detections at the mask stride.

        Args:
            pixels: (D, h, w) pixel embedding.
            results: from the proposal head, not rescaled; as `predict_by_feat`'s.

        Returns:
            (K, 2h, 2w) over the padded network input, cropped if ``test_cfg.crop_to_box``.
        """
        probability = coupled_probabilities(
            pixels,
            *self.embedding_and_margin(results),
            upsample=self.upsample,
            upsample_mode=self.upsample_mode,
        )
        if self.mask_recipe.crop_to_box:
            probability = crop_to_boxes(probability, results.bboxes, self.mask_stride)
        return probability

    def embedding_and_margin(self, proposals: InstanceData) -> tuple[Tensor, Tensor]:
        """Proposal embedding with position added (eq. 2), and proposal margin: (K, D) each."""
        embedding, margin = proposals.proposal_embeddings, proposals.proposal_margins
        if self.spatial_embedding.adds_position:
            embedding, margin = in_embedding_units(embedding, margin, proposals.units)
        return self.spatial_embedding(embedding, proposals.positions), margin

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        """Also load what version 1 saved."""
        renamed = {"conv_spatial_": "embedding_prediction.conv_spatial_"}
        # Version 1 knew the plain tower alone, as a sequence.
        renamed |= {f"tower.{i}.": f"tower.convs.{i}." for i in range(len(self.tower.convs))}
        rename_older(state_dict, prefix, local_metadata, version=self._version, renamed=renamed)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
