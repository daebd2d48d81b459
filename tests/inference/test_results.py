import cv2
import numpy as np
import torch
from mmengine.structures import InstanceData

from mmdet_embedmask.inference.predictor import Segmentor
from mmdet_embedmask.inference.results import (
    ImageResult,
    SkippedFile,
    predict_files,
    predict_frames,
)
from mmdet_embedmask.inputs.reading import ImageReader


def test_batches_give_a_result_an_image_and_name_the_files_they_skip(tmp_path):
    paths = []
    for index, width in enumerate((20, 30, 40, 50, 60)):
        paths.append(tmp_path / f"{index}.png")
        cv2.imwrite(str(paths[-1]), np.zeros((10, width, 3), np.uint8))
    paths[1].write_bytes(b"")
    batches = []

    def predict(images):
        batches.append([image.shape[1] for image in images])
        return [
            InstanceData(
                bboxes=torch.ones(2, 4),
                scores=torch.tensor([0.5, 0.4]),
                labels=torch.zeros(2, dtype=torch.long),
                masks=torch.ones(2, *image.shape[:2], dtype=torch.bool),
            )
            for image in images
        ]

    segmentor = Segmentor(ImageReader(dict(type="LoadImageFromFile")), predict, ("cat",))
    results = list(predict_files(segmentor, paths, 0.5, batch_size=2))
    assert batches == [[20], [40, 50], [60]]
    assert [type(result) for result in results] == [SkippedFile] + [ImageResult] * 4
    assert results[0] == SkippedFile(paths[1], "is empty: copy or download it again")
    records = [result.record for result in results[1:]]
    assert [record["image_id"] for record in records] == [0, 2, 3, 4]
    assert [record["width"] for record in records] == [20, 40, 50, 60]
    assert [record["file_name"] for record in records] == [
        paths[i].as_posix() for i in (0, 2, 3, 4)
    ]
    # A score at the threshold stays.
    assert [[d["score"] for d in record["detections"]] for record in records] == [[0.5]] * 4
    assert records[3]["detections"][0]["image_id"] == 4


def test_a_batch_without_any_image_is_not_predicted(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no")
    segmentor = Segmentor(ImageReader(dict(type="LoadImageFromFile")), None, ("cat",))
    assert [type(r) for r in predict_files(segmentor, [tmp_path / "a.png"], 0.5)] == [SkippedFile]


def test_frames_keep_their_position_and_scores_from_the_threshold_on():
    def predict(images):
        (image,) = images
        found = InstanceData(
            bboxes=torch.ones(3, 4),
            scores=torch.tensor([0.75, 0.5, 0.25]),
            labels=torch.zeros(3, dtype=torch.long),
            masks=torch.ones(3, *image.shape[:2], dtype=torch.bool),
        )
        return [found]

    frame = np.full((48, 64, 3), 9, np.uint8)
    segmentor = Segmentor(None, predict, ("cat",))
    (result,) = predict_frames(segmentor, [(6, frame)], "a.mp4", 0.5)
    assert [d["score"] for d in result.record["detections"]] == [0.75, 0.5]
    assert (result.record["image_id"], result.record["file_name"]) == (6, "a.mp4")
    assert np.array_equal(result.frame, frame)
