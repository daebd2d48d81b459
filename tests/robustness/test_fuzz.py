"""Damaged annotation files: the check names what is wrong, and what it passes can be used."""

import itertools
import json
import multiprocessing
import random
import re
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy

import pytest
from annotation_fuzz import (
    CLASSES,
    JUNK,
    SIZE,
    damaged_content,
    damaged_text,
    evaluate,
    good_content,
    load_for_training,
    loaded_boxes,
)

from mmdet_embedmask.checks.annotation_file import check_coco, check_coco_file
from mmdet_embedmask.checks.problems import Problem

PROCESSES = 2


def check_many(folder, seeds: range) -> Counter:
    """Check files, and use those that pass; an exception names its seed by the file it leaves.

    What the check says to be left out of training is exactly what MMDetection leaves out.
    """
    counts: Counter = Counter()
    for seed in seeds:
        path = folder / f"{seed}.json"
        path.write_bytes(damaged_text(random.Random(seed)))
        use = ("train", "val")[seed % 2]
        problems = check_coco_file(path, CLASSES, use)
        assert all(isinstance(p, Problem) and str(p).isprintable() for p in problems), seed
        if any(problem.is_error for problem in problems):
            counts[f"{use}: refused"] += 1
        else:
            if use == "train":
                compare(problems, json.loads(path.read_bytes())["annotations"], path)
            else:
                evaluate(path)
            counts[f"{use}: passed, with warnings" if problems else f"{use}: passed"] += 1
        path.unlink()
    return counts


def left_out(problems: list[Problem]) -> set[str]:
    """Ids of the annotations that the check says to be left out for their box or category."""
    kinds = [p for p in problems if re.search("left out of training|are left out$", p.kind)]
    assert all(problem.count == len(problem.examples) for problem in kinds)
    boxes_and_categories = [p for p in kinds if "polygon" not in p.kind]
    examples = [example for problem in boxes_and_categories for example in problem.examples]
    return {re.match(r"annotation (\S+?),? ", example)[1] for example in examples}


def compare(problems: list[Problem], annotations: list, path) -> None:
    """The check's findings on a file that can be learned from against what MMDetection loads."""
    loaded = load_for_training(path)
    assert loaded["instances"] == len(annotations) - len(left_out(problems))
    assert loaded["instances"] > loaded["crowds"]  # or there is nothing to learn
    told = sum(problem.count for problem in problems if "its mask is not learned" in problem.kind)
    assert told <= loaded["empty"]


def test_the_undamaged_file_is_used_both_ways(tmp_path):
    assert [p.count for p in check_coco(good_content(), CLASSES)] == []
    path = tmp_path / "good.json"
    path.write_text(json.dumps(good_content()))
    load_for_training(path)
    evaluate(path)


def test_300_damaged_files_are_refused_or_can_be_used(tmp_path):
    counts = check_many(tmp_path, range(300))
    assert sum(counts.values()) == 300
    # Neither refuses everything nor passes everything.
    assert all(
        counts[f"{use}: {end}"] > 10 for use in ("train", "val") for end in ("refused", "passed")
    )


@pytest.mark.slow
def test_ten_thousand_damaged_files_are_refused_or_can_be_used(tmp_path):
    # In new processes: torch's threads do not survive a fork.
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        part = 10_000 // PROCESSES
        parts = [range(first, first + part) for first in range(0, 10_000, part)]
        counts = sum(pool.map(check_many, [tmp_path] * PROCESSES, parts), Counter())
    print(dict(sorted(counts.items())))
    assert sum(counts.values()) == 10_000


WORDS = {
    # What messages call a field by that was damaged alone.
    ("images", "id"): "image.* id|'id'",
    ("images", "file_name"): "'file_name'",
    ("images", "height"): "'height' or 'width'|'size' of an RLE|further outside",
    ("images", "width"): "'height' or 'width'|'size' of an RLE|further outside",
    ("annotations", "id"): "annotation('s 'id'| id occurs)",
    ("annotations", "image_id"): "'image_id' is the id of no usable image",
    ("annotations", "category_id"): "'category_id' is the id of no category|no instance to learn",
    ("annotations", "bbox"): "bbox|box",
    ("annotations", "area"): "'area'",
    ("annotations", "iscrowd"): "'iscrowd'|crowds apart",
    ("annotations", "segmentation"): "mask|segmentation|polygon|RLE",
    ("categories", "id"): "category id|'id' or|'category_id'",
    ("categories", "name"): "'name'|a class is not|share a name",
}


@pytest.mark.parametrize("part, field", WORDS)
def test_a_damaged_field_is_named(part, field):
    refused = 0
    for index, value in itertools.product(range(3), JUNK):
        content = good_content()
        content[part][index][field] = deepcopy(value)
        for use in ("train", "val"):
            kinds = [p.kind for p in check_coco(content, CLASSES, use) if p.is_error]
            refused += bool(kinds)
            assert not kinds or any(re.search(WORDS[part, field], kind) for kind in kinds), value
    assert refused > 100 if field != "name" else refused > 50


@pytest.mark.parametrize("axis", [0, 1])
def test_at_every_border_what_is_left_out_is_what_mmdetection_leaves_out(tmp_path, axis):
    length = SIZE[1 - axis]
    starts = [-length, -2, -1, -0.5, 0, 1, length - 1, length - 0.5, length, length + 1]
    sizes = [0, 0.5, 1, 1.5, 2, length, length + 1, 2 * length]
    content, said = good_content(), {}
    template = content["annotations"][0]
    content["annotations"] = [template]
    for start, size, area in itertools.product(starts, sizes, [-1, 0, 0.5, 384]):
        if start + size > 2 * length:
            continue  # further outside than anything is left out in silence
        annotation = deepcopy(template) | dict(id=len(said) + 2, area=area)
        annotation["bbox"][axis], annotation["bbox"][axis + 2] = start, size
        problems = check_coco(content | dict(annotations=[template, annotation]), CLASSES)
        assert not any(problem.is_error for problem in problems)
        said[annotation["id"]] = bool(left_out(problems))
        content["annotations"].append(annotation)
    path = tmp_path / "borders.json"
    path.write_text(json.dumps(content))
    kept = [annotation for annotation in content["annotations"][1:] if not said[annotation["id"]]]
    loaded = loaded_boxes(path)
    boxes = [annotation["bbox"] for annotation in [template, *kept]]
    assert loaded == [[x, y, x + w, y + h] for x, y, w, h in boxes]
    assert 0 < len(kept) < len(said)


def test_content_that_never_was_a_file_is_checked_too():
    for seed in range(500):
        content = damaged_content(random.Random(seed))
        for use in ("train", "val", "test"):
            assert all(str(p).isprintable() for p in check_coco(content, CLASSES, use))
