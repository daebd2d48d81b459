"""Damaged annotation files: the check names what is wrong, and what it passes can be used."""

import json
import multiprocessing
import random
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import pytest
from annotation_fuzz import (
    CLASSES,
    damaged_content,
    damaged_text,
    evaluate,
    good_content,
    load_for_training,
)

from mmdet_embedmask.data.annotation_check import check_coco, check_coco_file
from mmdet_embedmask.data.problems import Problem

PROCESSES = 2


def check_many(folder, seeds: range) -> Counter:
    """Check files, and use those that pass; an exception names its seed by the file it leaves."""
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
            (load_for_training if use == "train" else evaluate)(path)
            counts[f"{use}: passed, with warnings" if problems else f"{use}: passed"] += 1
        path.unlink()
    return counts


def test_the_undamaged_file_is_used_both_ways(tmp_path):
    assert [p.count for p in check_coco(good_content(), CLASSES)] == []
    path = tmp_path / "good.json"
    path.write_text(json.dumps(good_content()))
    load_for_training(path)
    evaluate(path)


def test_some_hundred_damaged_files(tmp_path):
    counts = check_many(tmp_path, range(300))
    assert sum(counts.values()) == 300
    # Neither refuses everything nor passes everything.
    assert all(
        counts[f"{use}: {end}"] > 10 for use in ("train", "val") for end in ("refused", "passed")
    )


@pytest.mark.slow
def test_ten_thousand_damaged_files(tmp_path):
    # In new processes: torch's threads do not survive a fork.
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        part = 10_000 // PROCESSES
        parts = [range(first, first + part) for first in range(0, 10_000, part)]
        counts = sum(pool.map(check_many, [tmp_path] * PROCESSES, parts), Counter())
    print(dict(sorted(counts.items())))
    assert sum(counts.values()) == 10_000


def test_content_that_never_was_a_file():
    for seed in range(2000):
        content = damaged_content(random.Random(seed))
        for use in ("train", "val", "test"):
            assert all(str(p).isprintable() for p in check_coco(content, CLASSES, use))
