"""Where inference spends its time: the detector's own parts, called as its ``predict`` does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmdet.models.detectors.single_stage_instance_seg import SingleStageInstanceSegmentor
from mmdet.structures.mask import encode_mask_results
from mmengine.structures import InstanceData
from tqdm import trange

from .clocks import Clock
from .stage_times import StageTimes


@dataclass(frozen=True)
class Subject:
    """What is timed.

    Args:
        name: of the detector.
        model: in eval mode; EmbedMask, or a detector that predicts in the same steps (CondInst).
        data: one image as the data preprocessor gives it: ``inputs`` (1, 3, H, W) and
            ``data_samples``.
        clock: fits the model's device.
        amp: run under autocast.
    """

    name: str
    model: SingleStageInstanceSegmentor
    data: dict[str, Any]
    clock: Clock
    amp: bool = False


@torch.no_grad()
def predict_in_stages(subject: Subject) -> tuple[list[InstanceData], list[list[dict[str, Any]]]]:
    """Predict once, marking the clock before, between and after the stages.

    Returns:
        For every image what ``predict`` gives (``bboxes``, ``scores``, ``labels``, ``masks``), and
        its masks as run-length codes.
    """
    model, mark = subject.model, subject.clock.mark
    inputs, metas = subject.data["inputs"], [s.metainfo for s in subject.data["data_samples"]]
    with torch.autocast(inputs.device.type, enabled=subject.amp):
        mark()
        features = model.backbone(inputs)
        mark()
        features = model.neck(features)
        mark()
        proposals = model.bbox_head(features)
        mark()
        results = model.bbox_head.predict_by_feat(*proposals, batch_img_metas=metas, rescale=False)
        mark()
        pixels = model.mask_head(features, results)
        mark()
        results = model.mask_head.predict_by_feat(
            *pixels, batch_img_metas=metas, rescale=True, results_list=results
        )
        mark()
        codes = [encode_mask_results(image.masks.cpu().numpy()) for image in results]
        mark()
    return results, codes


def time_stages(subjects: Sequence[Subject], runs: int, warmup: int) -> list[StageTimes]:
    """Time detectors in turns (A B A B ...), so that a drift of the machine hits all alike.

    Args:
        subjects: the detectors, each with its image.
        runs: measured runs of each, at least 1.
        warmup: runs of each before those, not kept.

    Raises:
        ValueError: if there are too few runs.
    """
    if runs < 1 or warmup < 0:
        raise ValueError(f"runs={runs} and warmup={warmup}: take at least 1 and 0")
    times: list[list[tuple[float, ...]]] = [[] for _ in subjects]
    detections = [0] * len(subjects)
    for turn in trange(warmup + runs, unit="turn", disable=None):
        for index, subject in enumerate(subjects):
            results, _ = predict_in_stages(subject)
            intervals = subject.clock.intervals()
            detections[index] = sum(len(image) for image in results)
            if turn >= warmup:
                times[index].append(tuple(intervals))
    return [
        StageTimes(
            name=subject.name,
            image_size=tuple(subject.data["data_samples"][0].img_shape[:2]),
            padded_size=tuple(subject.data["inputs"].shape[-2:]),
            mask_size=tuple(subject.data["data_samples"][0].ori_shape[:2]),
            detections=detections[index],
            runs=tuple(times[index]),
        )
        for index, subject in enumerate(subjects)
    ]
