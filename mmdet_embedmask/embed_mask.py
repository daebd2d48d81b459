"""The detector."""

from typing import Any

import torch
from mmdet.models.detectors.single_stage_instance_seg import SingleStageInstanceSegmentor
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from torch import Tensor

from .options import check_heads_agree, check_levels, check_test_cfg


@MODELS.register_module()
class EmbedMask(SingleStageInstanceSegmentor):
    """EmbedMask: Embedding Coupling for Instance Segmentation (IJCAI 2021, arXiv 1912.01954).

    Every detected object carries a proposal embedding and a proposal margin, every pixel a pixel
    embedding; a mask is the set of pixels whose embedding lies within the margin.

    Args:
        backbone: config of the backbone.
        neck: config of the neck, from P3 on, or from P2 on where the pixel head reads it.
        bbox_head: config of an EmbedMaskHead, an EmbedMaskATSSHead or an EmbedMaskRTMDetHead.
        mask_head: config of a PixelEmbedHead.
        train_cfg: passed on to the heads; ATSS and RTMDet need it, FCOS does not.
        test_cfg: ``nms_pre``, ``score_thr``, ``nms``, ``max_per_img``, ``mask_thr``, and
            optionally ``min_bbox_size``, ``score``, ``clip_boxes``, ``inclusive_boxes``,
            ``crop_to_box``, ``mask_resize``, ``mask_format``.
        data_preprocessor: config of a DetDataPreprocessor with ``pad_mask=True``.
        init_cfg: initialisation.

    Raises:
        ValueError: if the heads do not fit each other or ``test_cfg`` has a wrong setting.
    """

    def __init__(
        self,
        backbone: ConfigDict,
        neck: ConfigDict,
        bbox_head: ConfigDict,
        mask_head: ConfigDict,
        *,
        train_cfg: ConfigDict | None = None,
        test_cfg: ConfigDict | None = None,
        data_preprocessor: ConfigDict | None = None,
        init_cfg: ConfigDict | None = None,
    ) -> None:
        check_test_cfg(test_cfg or {})
        super().__init__(
            backbone=backbone,
            neck=neck,
            bbox_head=bbox_head,
            mask_head=mask_head,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        check_heads_agree(self.bbox_head, self.mask_head)

    def extract_feat(self, batch_inputs: Tensor) -> tuple[Tensor, ...]:
        """Levels of the neck, as the heads read them.

        Args:
            batch_inputs: (N, 3, H, W).

        Raises:
            ValueError: if the neck begins with another level than the heads take it to.
        """
        x: tuple[Tensor, ...] = super().extract_feat(batch_inputs)
        # Sizes are symbols there, and what is exported has run before.
        if not torch.compiler.is_compiling():
            height, width = batch_inputs.shape[2:]
            check_levels(
                [(level.shape[2], level.shape[3]) for level in x],
                (height, width),
                len(self.bbox_head.level_strides),
                self.mask_head.reads_p2,
            )
        return x

    def _forward(self, batch_inputs: Tensor, batch_data_samples: Any = None) -> tuple[Any, ...]:
        """Network outputs only (mode 'tensor'): no ground truth needed, unlike the parent's.

        Args:
            batch_inputs: (N, 3, H, W).
            batch_data_samples: not used.

        Returns:
            Outputs of the proposal head, and of the pixel head.
        """
        x = self.extract_feat(batch_inputs)
        return self.bbox_head(x), self.mask_head(x)
