"""What the network computed for an image, for tools that look inside."""

from dataclasses import dataclass, fields, replace
from typing import Any, cast

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from .embed_mask import EmbedMask
from .functional.mask_prediction import masks_of_probabilities
from .functional.resize import ResizeMode
from .heads.detections import check_whole_image, exclusive_boxes


@dataclass(frozen=True, kw_only=True)
class InspectedImage:
    """One image's detections, and what their masks are made of.

    K detections of D embedding channels; (h, w) is the size of the pixel embedding.

    Args:
        pixel_embedding: (D, h, w), position added.
        proposal_embedding: (K, D), position added.
        proposal_margin: (K, D), precision 1 / (2 sigma^2).
        probability: (K, 2h, 2w) at the mask stride.
        bboxes: (K, 4) in pixels of the network input, as the network learned them.
        scores: (K,).
        labels: (K,).
        mask_resize: how masks are brought to the network input.
        stride: of the pixel embedding in pixels of the network input.
        mask_stride: of the probability.
        inclusive_boxes: whether ``bboxes`` end with their last pixel.
        spatial_aware_dim: how many of the D channels are spatial-aware, the first ones.
        meta: ``img_shape`` (inside the padding), ``ori_shape``, ``scale_factor``, ``img_path``.
    """

    pixel_embedding: Tensor
    proposal_embedding: Tensor
    proposal_margin: Tensor
    probability: Tensor
    bboxes: Tensor
    scores: Tensor
    labels: Tensor
    mask_resize: ResizeMode
    stride: int
    mask_stride: int
    inclusive_boxes: bool
    spatial_aware_dim: int
    meta: dict[str, Any]

    def masks(self, mask_thr: float, size: tuple[int, int] | None = None) -> Tensor:
        """Masks (K, height, width) bool, of the given size or the image's original one."""
        masks = masks_of_probabilities(
            self.probability,
            self.meta["img_shape"][:2],
            self.meta["ori_shape"][:2] if size is None else size,
            mask_thr=mask_thr,
            resize=self.mask_resize,
            mask_stride=self.mask_stride,
        )
        return cast(Tensor, masks)  # by the default format

    def original_bboxes(self) -> Tensor:
        """Boxes (K, 4) in pixels of the original image."""
        return exclusive_boxes(self.bboxes, self.meta["scale_factor"], self.inclusive_boxes)

    def select(self, index: Tensor) -> "InspectedImage":
        """The same image with these detections only.

        Args:
            index: positions or (K,) bool.
        """
        return replace(
            self,
            proposal_embedding=self.proposal_embedding[index],
            proposal_margin=self.proposal_margin[index],
            probability=self.probability[index],
            bboxes=self.bboxes[index],
            scores=self.scores[index],
            labels=self.labels[index],
        )


@torch.no_grad()
def inspect_batch(model: EmbedMask, data: dict[str, Any]) -> list[InspectedImage]:
    """Run the detector once and keep what its masks come from.

    Args:
        model: in eval mode.
        data: a batch as a test data loader gives it.

    Returns:
        One for every image, detections by descending score.

    Raises:
        ValueError: if an image was padded or cropped before the data preprocessor saw it.
    """
    data = model.data_preprocessor(data, training=False)
    features = model.extract_feat(data["inputs"])
    samples = data["data_samples"]
    results_list = model.bbox_head.predict(features, samples, rescale=False)
    (pixel_embedding,) = model.mask_head(features)
    return [
        _inspect(model, pixels, results, sample.metainfo)
        for pixels, results, sample in zip(pixel_embedding, results_list, samples, strict=True)
    ]


def inspect_image(model: EmbedMask, batch: dict[str, Any], score_thr: float) -> InspectedImage:
    """What the network computed for one image, on the CPU.

    Args:
        model: in eval mode.
        batch: of this image alone, as a test data loader gives it.
        score_thr: detections with a lower score are left out.
    """
    (inspected,) = inspect_batch(model, batch)
    kept = inspected.select(inspected.scores >= score_thr)
    values: dict[str, Any] = {field.name: getattr(kept, field.name) for field in fields(kept)}
    on_cpu: dict[str, Any] = {
        name: value.cpu() for name, value in values.items() if torch.is_tensor(value)
    }
    return replace(kept, **on_cpu)


def _inspect(
    model: EmbedMask, pixels: Tensor, results: InstanceData, meta: dict[str, Any]
) -> InspectedImage:
    check_whole_image(meta)
    embedding, margin = model.mask_head.embedding_and_margin(results)
    return InspectedImage(
        pixel_embedding=pixels,
        proposal_embedding=embedding,
        proposal_margin=margin,
        probability=model.mask_head.mask_probabilities(pixels, results),
        bboxes=results.bboxes,
        scores=results.scores,
        labels=results.labels,
        mask_resize=model.mask_head.mask_recipe.resize,
        stride=model.mask_head.stride,
        mask_stride=model.mask_head.mask_stride,
        inclusive_boxes=model.mask_head.inclusive_boxes,
        spatial_aware_dim=model.mask_head.spatial_aware_dim,
        meta=meta,
    )
