import numpy as np
import pytest
import torch
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets import CocoDataset
from mmdet.datasets.transforms import PackDetInputs, Resize
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from mmdet_embedmask.data.shape_drawing import SHAPE_CLASSES
from mmdet_embedmask.data.shape_scene import ShapesConfig
from mmdet_embedmask.data.shapes import write_coco_shapes
from mmdet_embedmask.visualization.rows import dataset_row


class FixedModel:
    """Predicts the left half of every image, and its right half with a low score."""

    def __init__(self, as_rle):
        self.as_rle = as_rle

    def test_step(self, batch):
        (sample,) = batch["data_samples"]
        masks = torch.zeros(2, *sample.ori_shape, dtype=torch.bool)
        masks[0, :, : sample.ori_shape[1] // 2] = True
        masks[1] = ~masks[0]
        if self.as_rle:
            masks = [coco_mask.encode(np.asfortranarray(m.numpy(), np.uint8)) for m in masks]
        sample.pred_instances = InstanceData(
            bboxes=torch.zeros(2, 4),
            scores=torch.tensor([0.9, 0.1]),
            labels=torch.tensor([3, 0]),
            masks=masks,
        )
        return [sample]


@pytest.mark.parametrize("as_rle", [False, True])
def test_a_row_holds_what_is_annotated_but_crowds_and_what_scores_enough(tmp_path, as_rle):
    config = ShapesConfig(2, 64, 80, (2, 3), empty_fraction=0.0, crowd_fraction=1.0)
    path = write_coco_shapes(tmp_path, "val", config)
    dataset = CocoDataset(
        ann_file=str(path),
        data_prefix={"img": str(tmp_path / "val")},
        metainfo={"classes": SHAPE_CLASSES},
        pipeline=[
            LoadImageFromFile(),
            Resize(scale=(96, 96), keep_ratio=True),
            PackDetInputs(meta_keys=("img_id", "ori_shape", "img_shape", "scale_factor")),
        ],
        test_mode=True,
    )
    row = dataset_row(FixedModel(as_rle), dataset, 1, score_thr=0.5)
    info = dataset.get_data_info(1)
    wanted = [i for i in info["instances"] if not i["ignore_flag"]]
    assert len(wanted) == len(info["instances"]) - 1  # the crowd is left out
    assert row.image.shape == (64, 80, 3)
    assert list(row.truth.labels) == [i["bbox_label"] for i in wanted]
    for mask, instance in zip(row.truth.masks, wanted, strict=True):
        assert np.array_equal(mask, coco_mask.decode(instance["mask"]))
    assert row.prediction.labels == [3]
    assert row.prediction.scores == pytest.approx([0.9])
    assert row.prediction.masks.shape == (1, 64, 80)
    assert row.prediction.masks[0, :, :40].all() and not row.prediction.masks[0, :, 40:].any()
