"""An image with its truth and its prediction, from a detector and a data set."""

from dataclasses import dataclass
from typing import Any

import mmcv
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from numpy.typing import NDArray

from ..evaluation.matching import Objects
from ..functional.run_lengths import decode_mask
from .style import Image


@dataclass(frozen=True)
class Row:
    """An image, what is annotated in it, and what is predicted.

    Args:
        image: (H, W, 3) in blue, green, red.
        truth: its annotated objects.
        prediction: its predicted objects.
    """

    image: Image
    truth: Objects
    prediction: Objects


def dataset_row(model: BaseModel, dataset: Any, index: int, score_thr: float) -> Row:
    """Predict one image of a data set, through the data set's own pipeline.

    Args:
        model: an MMDetection detector.
        dataset: an MMDetection data set with instance masks.
        index: of the image.
        score_thr: predictions with a lower score are left out.

    Returns:
        The row; what the evaluation ignores, crowds for instance, is not in its ground truth.
    """
    info = dataset.get_data_info(index)
    image = mmcv.imread(info["img_path"])
    instances = [i for i in info["instances"] if not i["ignore_flag"] and "mask" in i]
    truth = Objects(
        _stack([i["mask"] for i in instances], image.shape[:2]),
        [i["bbox_label"] for i in instances],
    )
    with torch.no_grad():
        predicted = model.test_step(pseudo_collate([dataset[index]]))[0].pred_instances
    predicted = predicted[predicted.scores >= score_thr].cpu()
    masks = predicted.masks.numpy() if torch.is_tensor(predicted.masks) else predicted.masks
    prediction = Objects(
        _stack(list(masks), image.shape[:2]), predicted.labels.tolist(), predicted.scores.tolist()
    )
    return Row(image, truth, prediction)


def _stack(masks: list[Any], size: tuple[int, int]) -> NDArray[np.bool_]:
    decoded = [decode_mask(mask, size) for mask in masks]
    return np.stack(decoded) if decoded else np.zeros((0, *size), bool)
