import json

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from runs import CONFIGS, make_shapes, shapes_config

from mmdet_embedmask.benchmark import accuracy
from mmdet_embedmask.benchmark.accuracy import (
    TIMED_STEPS,
    TURNS,
    CocoSplit,
    accuracy_table,
    check_equal_budgets,
    iterations_for,
    read_result,
    set_iterations,
    use_data_set,
)

NAMES = [
    "embedmask_r18_fpn_dsb2018.py",
    "embedmask_fused_r18_fpn_dsb2018.py",
    "peers/condinst_r18_fpn_dsb2018.py",
    "peers/solov2_r18_fpn_dsb2018.py",
    "peers/mask-rcnn_r18_fpn_dsb2018.py",
]


def split(folder, name):
    annotations = folder / f"{name}.json"
    annotations.write_text(json.dumps(dict(categories=[dict(name="b"), dict(name="a")])))
    return CocoSplit(annotations, folder / name)


def numbers_of_classes(part):
    if isinstance(part, dict):
        part, found = part.values(), [part["num_classes"]] if "num_classes" in part else []
    else:
        found = []
    if isinstance(part, str) or not hasattr(part, "__iter__"):
        return found
    return found + [number for child in part for number in numbers_of_classes(child)]


@pytest.mark.parametrize("name", NAMES)
def test_another_data_set_reaches_every_part_of_a_config(name, tmp_path):
    config = Config.fromfile(CONFIGS / name)
    before = numbers_of_classes(config.model.to_dict())
    use_data_set(config, split(tmp_path, "train"), split(tmp_path, "val"))
    for loader, part in (("train", "train"), ("val", "val"), ("test", "val")):
        dataset = config[f"{loader}_dataloader"].dataset
        assert dataset.ann_file == str(tmp_path / f"{part}.json")
        assert dataset.data_prefix.img == f"{tmp_path}/{part}/" and dataset.data_root == ""
        assert tuple(dataset.metainfo.classes) == ("b", "a")  # in the order of the file
    assert config.test_evaluator.ann_file == str(tmp_path / "val.json")
    assert before and set(before) == {1}
    assert numbers_of_classes(config.model.to_dict()) == [2] * len(before)


def test_another_number_of_iterations_stretches_the_schedule():
    config = Config.fromfile(CONFIGS / NAMES[0])
    set_iterations(config, 400)
    assert config.train_cfg.max_iters == config.train_cfg.val_interval == 400
    assert [(s.begin, s.end) for s in config.param_scheduler] == [(0, 40), (40, 400)]
    coco = Config.fromfile(CONFIGS / "embedmask_r50_fpn_1x_coco.py")
    set_iterations(coco, 900)
    assert coco.param_scheduler[1].milestones == [600, 800]
    with pytest.raises(ValueError, match="whose train_cfg counts iterations"):
        set_iterations(Config(dict(train_cfg=dict(max_epochs=3))), 400)


def test_all_systems_of_the_comparison_have_the_same_budget():
    configs = {name: Config.fromfile(CONFIGS / name) for name in NAMES}
    check_equal_budgets(configs)
    ours = configs[NAMES[0]]
    for config in configs.values():
        assert config.optim_wrapper == ours.optim_wrapper
        assert config.param_scheduler == ours.param_scheduler
        assert config.train_dataloader == ours.train_dataloader
        for key in ("mean", "std", "bgr_to_rgb"):
            assert config.model.data_preprocessor[key] == ours.model.data_preprocessor[key]
        for key in ("depth", "norm_cfg", "norm_eval", "frozen_stages", "style", "init_cfg"):
            assert config.model.backbone[key] == ours.model.backbone[key], key
    configs[NAMES[1]].train_dataloader.batch_size = 3
    with pytest.raises(ValueError, match=r"batch_size.: 4.*, but embedmask_fused.*batch_size.: 3"):
        check_equal_budgets(configs)


def test_a_result_has_accuracy_time_and_memory(tmp_path):
    log = tmp_path / "20260101_000000" / "vis_data" / "scalars.json"
    log.parent.mkdir(parents=True)
    lines = [dict(loss=1, time=0.5), {"coco/segm_mAP": 0.3}]
    log.write_text("\n".join(map(json.dumps, lines)))
    result = {"coco/segm_mAP": 0.3, "seconds_per_iteration": 0.5, "peak_memory_bytes": 7}
    assert read_result(tmp_path, 7) == result
    log.write_text("\n".join(json.dumps(line | dict(memory=2)) for line in lines))
    assert read_result(tmp_path, 7)["peak_memory_bytes"] == 2 * 2**20  # of the GPU


def test_the_table_tells_mean_and_spread_in_each_columns_unit():
    run = {
        "iterations": 40,
        "seconds_per_iteration": 0.25,
        "peak_memory_bytes": 2 * 10**9,
        "coco/segm_mAP": 0.6,
    }
    results = dict(ours=[run | {"coco/bbox_mAP": b} for b in (0.4, 0.5)], solo=[run], other=[])
    lines = accuracy_table(results).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    same = ["40 (40 to 40)", "0.25 (0.25 to 0.25)", "2.00 (2.00 to 2.00)"]
    assert cells[2] == ["ours", "2", "45.0 (40.0 to 50.0)", "60.0 (60.0 to 60.0)", *same]
    assert cells[3] == ["solo", "1", "none", "60.0", "40", "0.25", "2.00"]
    assert cells[4] == ["other", "0", "none", "none", "none", "none", "none"]


def test_the_same_seconds_give_a_slower_detector_fewer_iterations(monkeypatch):
    taken = dict(fast=[[250.0, 9000.0], [500.0, 500.0]], slow=[[1000.0, 2000.0], [2000.0, 9000.0]])
    order = []

    def first_steps(config):
        order.append(config)
        return taken[config][order.count(config) - 1]

    monkeypatch.setattr(accuracy, "first_steps", first_steps)
    names = dict(fast="fast", slow="slow")
    # The medians of both turns are 0.5 and 2.0 seconds.
    assert iterations_for(names, 60) == dict(fast=120, slow=30)
    assert order == ["fast", "slow"] * 2
    order.clear()
    with pytest.raises(ValueError, match=r"slow takes 2.00 s an iteration: --seconds 1 is not"):
        iterations_for(names, 1)


def test_first_steps_are_of_the_configs_own_data_and_leave_the_config_as_it_is(
    tmp_path, monkeypatch
):
    root = make_shapes(tmp_path / "shapes", 3, size=64)
    config = shapes_config(root, tmp_path, max_iters=1)
    config.train_dataloader.batch_size = 2
    before = config.pretty_text
    seen = []
    monkeypatch.setattr(accuracy, "milliseconds", lambda step, clock: seen.append(step()) or 500.0)
    # As in a new process, where no runner has set it.
    monkeypatch.setattr(DefaultScope, "_instance_dict", DefaultScope._instance_dict.__class__())
    assert iterations_for(dict(one=config), 10) == dict(one=20)
    assert len(seen) == TURNS * TIMED_STEPS and config.pretty_text == before
