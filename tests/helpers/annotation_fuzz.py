"""Seeded damage to annotation files, and everything that reads those that pass the check."""

import contextlib
import copy
import io
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

# isort: off
# First, also in processes that a test starts: it puts the stand-in for compiled MMCV in place.
import mmdet_embedmask  # noqa: F401

# isort: on
from mmdet.datasets.api_wrappers import COCOeval
from mmdet.datasets.transforms import LoadAnnotations
from pycocotools import mask as coco_mask

from mmdet_embedmask.data.coco_dataset import CocoByName, CocoDatasetByName

CLASSES = ("dog", "cat")
SIZE = (24, 32)
NUMBERS = [0, 1, -1, 2, 3, 1.5, 24, 32, 33, 1e5, -1e5, 1e30, 10**30, 10**400, float("nan")]
NUMBERS += [float("inf"), -float("inf"), 2**31, 2**32, 2**63, -(2**63), True, False]
NUMBERS += [1.0, 3.0, 24.0, 32.0]
TEXTS = ["", "1", "0", "cat", "x" * 50, "ä\u0000", "\ud800", "08X1", "oooooooooooooooo", "/", ".."]
JUNK = [*NUMBERS, *TEXTS, None, [], {}, [[]], [[[]]], [{}], [1, 2], [1.0] * 4, [[1, 2]], [None]]
JUNK += [{"size": [24, 32], "counts": c} for c in ([768], "o", "", [768.0], None, [-1, 769], b"")]
JUNK += [{"size": [32, 24], "counts": [768]}, {"counts": [768]}, [[0, 0, 9, 0, 9, 9]] * 2]


def good_content() -> dict[str, Any]:
    """Polygons, both kinds of run lengths, a crowd, and an image without annotations."""
    mask = np.zeros(SIZE, np.uint8, order="F")
    mask[4:20, 6:30] = 1
    text = coco_mask.encode(mask)["counts"].decode()
    masks = [
        [[6.0, 4.0, 30.0, 4.0, 30.0, 20.0, 6.0, 20.0]],
        dict(size=list(SIZE), counts=text),
        dict(size=list(SIZE), counts=[148, 16, 8, 16, 580]),
        [[6, 4, 30, 4, 30, 20], [6, 4, 6, 20, 30, 20]],
    ]
    images = [
        dict(id=number, file_name=f"{number}.png", height=SIZE[0], width=SIZE[1])
        for number in (1, 2, 3)
    ]
    annotations = [
        dict(
            id=number + 1,
            image_id=1 + number % 2,
            category_id=(5, 3)[number % 2],
            bbox=[6.0, 4.0, 24.0, 16.0],
            area=384.0,
            iscrowd=int(number == 2),
            segmentation=masks[number],
        )
        for number in range(4)
    ]
    categories = [dict(id=5, name="cat"), dict(id=3, name="dog"), dict(id=9, name="unused")]
    return dict(images=images, annotations=annotations, categories=categories)


def damaged_content(rng: random.Random) -> Any:
    """A good file's content after one to three changes of its structure."""
    content = good_content()
    for _ in range(rng.choice([1, 1, 2, 3])):
        content = _changed(content, rng)
    return content


def damaged_text(rng: random.Random) -> bytes:
    """A damaged file: mostly of wrong structure, else cut or with wrong bytes."""
    if rng.random() < 0.8:
        return json.dumps(damaged_content(rng), default=bytes.decode).encode()
    text = bytearray(json.dumps(good_content()).encode())
    if rng.random() < 0.3:
        return bytes(text[: rng.randrange(len(text))])
    for _ in range(rng.randint(1, 4)):
        # Often a character that JSON allows there, so that the file is still read.
        byte = rng.choice(b'0123456789.-e,[]{}" n') if rng.random() < 0.8 else rng.randrange(256)
        text[rng.randrange(len(text))] = byte
    return bytes(text)


def _changed(content: Any, rng: random.Random) -> Any:
    """One change: a value replaced, removed, doubled, moved, or wrapped."""
    places = list(_places(content))
    if not places or rng.random() < 0.01:
        return copy.deepcopy(rng.choice(JUNK))
    holder, key = rng.choice(places)
    # Coordinates most often: much else is refused, and what passes is used.
    numbers = [place for place in places if _is_number(place, (int, float))]
    coordinates = [place for place in numbers if _is_number(place, (float,))]
    if numbers and rng.random() < 0.6:
        holder, key = rng.choice((coordinates if rng.random() < 0.7 else []) or numbers)
        holder[key] = _nudged(holder[key], rng)
        return content
    change = rng.randrange(6)
    if change <= 1:
        holder[key] = copy.deepcopy(rng.choice(JUNK))
    elif change == 2:
        del holder[key]
    elif change == 3 and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif change == 4:
        other, other_key = rng.choice(places)
        holder[key] = copy.deepcopy(other[other_key])
    else:
        holder[key] = rng.choice([[holder[key]], str(holder[key]), {"id": holder[key]}])
    return content


def _is_number(place: Any, kinds: tuple[type, ...]) -> bool:
    holder, key = place
    return type(holder[key]) in kinds and abs(holder[key]) < 1e9


def _nudged(number: int | float, rng: random.Random) -> int | float:
    """Another number of the same kind, small changes more often than large ones."""
    step, factor = rng.choice([-40, -5, -1, 0.5, 1, 3, 20]), rng.choice([1, 1, 1, 1, -1, 2, 1000])
    return type(number)((number + step) * factor)


def _places(value: Any) -> Any:
    """Every (list or dict, key) below a value."""
    if isinstance(value, list | dict):
        for key in range(len(value)) if isinstance(value, list) else list(value):
            yield value, key
            yield from _places(value[key])


def load_for_training(path: Path) -> Counter:
    """Load all annotations as a training pipeline does, and check what comes out.

    Returns:
        How many instances there are, how many of them are crowds, and how many have no pixel.
    """
    dataset = _dataset(path)
    load, counts = LoadAnnotations(with_bbox=True, with_mask=True), Counter()
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        # As the image has it, which is never a float.
        size = int(info["height"]), int(info["width"])
        loaded = load({**info, "ori_shape": size})
        count = len(info["instances"])
        counts["instances"] += count
        counts["crowds"] += int(loaded["gt_ignore_flags"].sum())
        counts["empty"] += int((~loaded["gt_masks"].masks.any(axis=(1, 2))).sum())
        assert loaded["gt_bboxes"].tensor.isfinite().all()
        assert loaded["gt_bboxes"].tensor.shape == (count, 4)
        assert loaded["gt_masks"].masks.shape == (count, *size)
        assert set(loaded["gt_bboxes_labels"]) <= {0, 1}
    return counts


def loaded_boxes(path: Path) -> list[list[float]]:
    """Corners of all instances that MMDetection loads, in the file's order of each image."""
    return [i["bbox"] for info in _dataset(path) for i in info["instances"]]


def _dataset(path: Path) -> CocoDatasetByName:
    with contextlib.redirect_stdout(io.StringIO()):
        return CocoDatasetByName(
            ann_file=str(path),
            data_prefix=dict(img=""),
            metainfo=dict(classes=CLASSES),
            # Which collects garbage, the slowest part.
            serialize_data=False,
        )


def evaluate(path: Path) -> None:
    """Evaluate one detection an image, boxes and masks, as CocoMetric does."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = CocoByName(str(path))
        detections = [
            dict(
                image_id=identity,
                category_id=truth.get_cat_ids(cat_names=CLASSES)[0],
                bbox=[0.0, 0.0, 1.0, 1.0],
                score=0.5,
                segmentation=coco_mask.frPyObjects(
                    dict(size=[i["height"], i["width"]], counts=[i["height"] * i["width"]]), 1, 1
                ),
            )
            for identity, i in truth.imgs.items()
        ]
        for kind in ("bbox", "segm"):
            evaluation = COCOeval(truth, truth.loadRes(copy.deepcopy(detections)), kind)
            evaluation.params.catIds = truth.get_cat_ids(cat_names=CLASSES)
            evaluation.params.imgIds = truth.get_img_ids()
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            assert -1 <= evaluation.stats[0] <= 1
