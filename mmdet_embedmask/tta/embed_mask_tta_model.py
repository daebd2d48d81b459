"""Test-time augmentation with masks, which MMDetection's own refuses."""

from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.model import BaseTTAModel
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ..embed_mask import EmbedMask
from ..functional.run_lengths import RunLengths, encode_mask
from ..inspection import InspectedImage, inspect_batch
from ..options import check_count
from .merged_views import MergedDetections, View, mean_probability, merge_detections


@MODELS.register_module()
class EmbedMaskTTAModel(BaseTTAModel):
    """EmbedMask on several views of every image, merged.

    A proposal embedding belongs to the pixel embedding of its own view. So views are merged after
    the coupling: boxes that overlap across views belong together, and their mask probabilities are
    averaged at the original size.

    Args:
        module: an EmbedMask, or its config.
        tta_cfg: ``nms.iou_threshold`` of boxes across views, and ``max_per_img``.
        data_preprocessor: replaces the module's.
    """

    module: EmbedMask

    def __init__(
        self,
        module: ConfigDict | nn.Module,
        tta_cfg: ConfigDict,
        data_preprocessor: ConfigDict | nn.Module | None = None,
    ) -> None:
        super().__init__(module, data_preprocessor)
        if not isinstance(self.module, EmbedMask):
            raise TypeError(
                f"EmbedMaskTTAModel merges views of EmbedMask, not of {type(self.module).__name__}"
            )
        self.iou_threshold = float(tta_cfg["nms"]["iou_threshold"])
        self.max_per_img = check_count("tta_cfg.max_per_img", tta_cfg["max_per_img"])

    @torch.no_grad()
    def test_step(self, data: dict[str, list[Any]]) -> list[DetDataSample]:
        """Predict the images of a batch.

        Args:
            data: ``inputs`` and ``data_samples``, of every view a list over the images.
        """
        num_views = len(data["inputs"])
        views = [
            inspect_batch(self.module, {key: value[v] for key, value in data.items()})
            for v in range(num_views)
        ]
        samples: list[DetDataSample] = data["data_samples"][0]
        merged = self.merge_preds(list(zip(*views, strict=True)))
        for sample, instances in zip(samples, merged, strict=True):
            sample.pred_instances = instances
        return samples

    def merge_preds(self, data_samples_list: list[tuple[InspectedImage, ...]]) -> list[Any]:
        """Merge the views of every image.

        Args:
            data_samples_list: of every image its views.

        Returns:
            ``bboxes``, ``scores``, ``labels``, ``masks`` of every image at its original size.
        """
        return [self._merge_image(images) for images in data_samples_list]

    def _merge_image(self, images: tuple[InspectedImage, ...]) -> InstanceData:
        views = [_view(image) for image in images]
        height, width = images[0].meta["ori_shape"][:2]
        merged = merge_detections(views, (height, width), self.iou_threshold, self.max_per_img)
        return InstanceData(
            bboxes=merged.bboxes,
            scores=merged.scores,
            labels=merged.labels,
            masks=self._masks(views, merged, (height, width)),
        )

    def _masks(
        self, views: list[View], merged: MergedDetections, size: tuple[int, int]
    ) -> Tensor | list[RunLengths]:
        """Masks in the format that ``test_cfg`` asks for, one at a time at full size."""
        recipe = self.module.mask_head.mask_recipe
        members = merged.members.tolist()
        probabilities = (mean_probability(views, m, size, recipe.resize) for m in members)
        masks = (probability > recipe.mask_thr for probability in probabilities)
        if self.module.mask_head.mask_format == "rle":
            return [encode_mask(mask.cpu().numpy()) for mask in masks]
        found = list(masks)
        return torch.stack(found) if found else merged.labels.new_zeros((0, *size)).bool()


def _view(image: InspectedImage) -> View:
    height, width = image.meta["img_shape"][:2]
    direction = image.meta["flip_direction"] if image.meta.get("flip") else None
    return View(
        bboxes=image.original_bboxes(),
        scores=image.scores,
        labels=image.labels,
        probability=image.probability,
        img_shape=(height, width),
        flip_direction=direction,
        mask_stride=image.mask_stride,
    )
