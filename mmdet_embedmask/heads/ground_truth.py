"""Ground truth as the heads read it from MMDetection's structures."""

import torch
from mmengine.structures import InstanceData
from torch import Tensor


def ground_truth_masks(gt_instances: InstanceData) -> Tensor:
    """Masks of one image as a tensor that shares their memory.

    Args:
        gt_instances: with ``masks``, BitmapMasks or PolygonMasks.

    Returns:
        (G, H, W) uint8 on the CPU.
    """
    return torch.from_numpy(gt_instances.masks.to_ndarray())


def check_ground_truth(
    gt_instances: InstanceData, num_classes: int, batch_input_shape: tuple[int, int]
) -> None:
    """Check one image's ground truth before the losses use it.

    Args:
        gt_instances: with ``labels`` and, as padded by the data preprocessor, ``masks``.
        num_classes: of the box head.
        batch_input_shape: (height, width) of the padded network input.

    Raises:
        ValueError: if masks are missing or not padded to the network input, or a label is outside
            ``[0, num_classes)``.
    """
    if "masks" not in gt_instances:
        raise ValueError(
            "the ground truth has boxes but no masks, and EmbedMask learns from masks: set "
            "with_mask=True in the LoadAnnotations of the training pipeline"
        )
    masks = gt_instances.masks
    if (masks.height, masks.width) != tuple(batch_input_shape):
        raise ValueError(
            f"masks are {masks.height} x {masks.width} but the padded images are "
            f"{batch_input_shape[0]} x {batch_input_shape[1]}: set data_preprocessor.pad_mask=True"
        )
    labels = gt_instances.labels
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ValueError(
            f"ground-truth labels range from {int(labels.min())} to {int(labels.max())}, but "
            f"bbox_head.num_classes={num_classes}: set it to the number of the dataset's classes"
        )
