"""The command that checks a config's data, as a user runs it."""

import json
from pathlib import Path

import pytest
from runs import CONFIGS, make_shapes

ROOT = Path(__file__).resolve().parents[2]
CONFIG = str(CONFIGS / "embedmask_tiny_shapes.py")
TRAIN = "annotations/instances_train.json"


@pytest.fixture
def check(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import check_dataset

    return check_dataset.main


@pytest.fixture
def options(tmp_path):
    """Shapes as training data, and in a wrapper and with a broken file as validation data."""
    root = make_shapes(tmp_path / "shapes", 3, size=64)
    (root / "broken.json").write_text("{")
    return [
        f"train_dataloader.dataset.data_root={root}",
        f"val_dataloader.dataset.data_root={root}",
        f"val_evaluator.ann_file={root / TRAIN}",
        f"test_evaluator.ann_file={root / TRAIN}",
        "val_dataloader.dataset.data_prefix.img=train/",
        "val_dataloader.dataset.ann_file=broken.json",
        "test_dataloader=None",
    ]


def test_all_data_sets_are_named_with_their_problems(check, options, capsys):
    assert check([CONFIG, "--cfg-options", *options]) == 1
    lines = capsys.readouterr().out.splitlines()
    train, val, problem = (line for line in lines if "data, " in line or "error" in line)
    assert train.startswith("train data, CocoDatasetByName (") and train.endswith("no problem")
    assert val.startswith("val data, CocoDatasetByName (") and "broken.json" in val
    assert problem.startswith("  error: the annotation file is not complete JSON")


def test_a_warning_is_no_failure_and_an_empty_image_file_is_one(check, options, tmp_path, capsys):
    root = tmp_path / "shapes"
    path = root / "annotations" / "instances_train.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"][2] = 0
    path.write_text(json.dumps(content))
    options = [*options[:1], "val_dataloader=None", "test_dataloader=None"]
    arguments = [CONFIG, "--cfg-options", *options]
    assert check(arguments) == 0
    assert "  warning: smaller than one pixel" in capsys.readouterr().out
    (root / "train" / "000002.png").write_bytes(b"")
    assert check(arguments) == 1
    assert "  error: an image is empty" in capsys.readouterr().out
    assert check([arguments[0], "--no-images", *arguments[1:]]) == 0


def test_data_sets_inside_wrappers_are_checked_and_shared_ones_once(
    check, options, tmp_path, capsys
):
    config = tmp_path / "wrapped.py"
    root = tmp_path / "shapes"
    config.write_text(
        f"""
_base_ = {CONFIG!r}
part = dict(
    type="CocoDataset",
    data_root={str(root)!r},
    ann_file="annotations/instances_train.json",
    data_prefix=dict(img="train/"),
    metainfo=dict(classes=("ellipse", "polygon", "ring")),
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="RepeatDataset",
        times=2,
        dataset=dict(type="ConcatDataset", datasets=[part, part]),
    )
)
val_dataloader = dict(dataset=dict(_delete_=True, **part))
test_dataloader = dict(dataset=dict(_delete_=True, **part))
val_evaluator = test_evaluator = dict(ann_file={str(root / TRAIN)!r})
"""
    )
    assert check([str(config)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "data, " in line]
    assert [line.split()[0] for line in lines] == ["train", "val"]


def test_one_annotation_file_with_two_image_folders_is_two_data_sets(
    check, options, tmp_path, capsys
):
    (tmp_path / "shapes" / "other").mkdir()
    options = [
        *options[:4],
        "val_dataloader.dataset.data_prefix.img=train/",
        "val_dataloader.dataset.ann_file=annotations/instances_train.json",
        f"test_dataloader.dataset.data_root={tmp_path / 'shapes'}",
        "test_dataloader.dataset.data_prefix.img=other/",
        "test_dataloader.dataset.ann_file=annotations/instances_train.json",
    ]
    assert check([CONFIG, "--cfg-options", *options]) == 1
    output = capsys.readouterr().out
    assert [line.split()[0] for line in output.splitlines() if "data, " in line] == [
        "train",
        "val",
        "test",
    ]
    assert "error: an image is missing" in output and "other/000001.png" in output


@pytest.fixture
def check_parts(check, options, tmp_path, capsys):
    """Exit code and lines about data sets of a config, of which each is a type and its options."""
    root = tmp_path / "shapes"

    def run(train=None, val=None, metrics=(), evaluator=None):
        def part(kind="CocoDataset", classes=("ellipse", "polygon", "ring"), **given):
            metainfo, images = dict(classes=classes), dict(img="train/")
            base = dict(type=kind, data_root=str(root), metainfo=metainfo, data_prefix=images)
            return base | dict(ann_file=TRAIN, pipeline=[]) | given

        def loader(parts):
            parts = [part(**given) for given in parts]
            return dict(dataset=dict(_delete_=True, type="ConcatDataset", datasets=parts))

        lines = [f"_base_ = {CONFIG!r}", "test_dataloader = test_cfg = test_evaluator = None"]
        lines.append(f"train_dataloader = {loader(train) if train else None}")
        lines.append(f"val_dataloader = {loader(val) if val else None}")
        base = dict(type="CocoMetric", ann_file=str(root / TRAIN))
        if metrics:
            metrics = [base | metric for metric in metrics]
            lines.append(
                f"val_evaluator = {dict(_delete_=True, metrics=metrics) | (evaluator or {})}"
            )
        (tmp_path / "parts.py").write_text("\n".join(lines))
        code = check([str(tmp_path / "parts.py"), "--no-images"])
        # Without what pycocotools prints.
        lines = capsys.readouterr().out.splitlines()
        return code, [line for line in lines if line.startswith(("train", "val", "  "))]

    def write(name, change):
        content = json.loads((root / TRAIN).read_text())
        change(content)
        (root / name).write_text(json.dumps(content))
        return dict(ann_file=name)

    run.write = write
    return run


NO_INSTANCE = "there is no instance to learn from"


def test_one_of_several_training_data_sets_may_show_background_alone(check_parts):
    background = check_parts.write("background.json", lambda file: file.update(annotations=[]))
    code, lines = check_parts([{}, background])
    assert code == 0 and lines[0].endswith("no problem")
    assert "background.json" in lines[1] and lines[2].startswith(f"  warning: {NO_INSTANCE}")
    assert check_parts([background])[0] == 1
    code, lines = check_parts([background, background])
    assert code == 1 and len(lines) == 4
    assert lines[2].startswith("train data:") and lines[3].startswith(f"  error: {NO_INSTANCE}")


def test_data_that_cannot_be_loaded_are_named(check_parts):
    background = check_parts.write("background.json", lambda file: file.update(annotations=[]))
    background |= dict(kind="CocoDatasetByName", filter_cfg=dict(filter_empty_gt=True))
    code, lines = check_parts([{}, background])
    assert code == 1 and lines[2].startswith("  error: it cannot be loaded: CocoDatasetByName (")
    assert "leaves no image" in lines[2]


def without_masks(file):
    for annotation in file["annotations"]:
        del annotation["segmentation"]


@pytest.mark.parametrize(
    "option, metric, code",
    [
        ({}, "bbox", 0),
        ({}, ["bbox", "segm"], 1),
        (dict(pipeline=[dict(type="LoadAnnotations", with_mask=True)]), "bbox", 1),
    ],
)
def test_boxes_alone_are_enough_where_no_mask_is_measured(check_parts, option, metric, code):
    boxes = check_parts.write("boxes.json", without_masks)
    found, lines = check_parts(val=[boxes | option], metrics=[dict(metric=metric)])
    word = "error" if code else "warning"
    assert found == code and lines[1].startswith(f"  {word}: a box without a mask")


def test_one_file_read_by_two_types_is_two_data_sets(check_parts):
    other = dict(classes=("ring", "ellipse", "polygon"))
    code, lines = check_parts([dict(kind="CocoDatasetByName", **other), other])
    assert code == 1 and [line.split(" (")[0] for line in lines[:2]] == [
        "train data, CocoDatasetByName",
        "train data, CocoDataset",
    ]
    assert lines[2].startswith("  error: labels go by the order of the file's categories")


def test_evaluators_know_the_same_classes_and_images(check_parts, tmp_path):
    data = dict(kind="CocoDatasetByName", classes=("ring", "ellipse", "polygon"))
    assert check_parts(val=[data], metrics=[dict(type="CocoMetricByName")])[0] == 0
    code, lines = check_parts(val=[data], metrics=[{}])
    assert code == 1 and lines[1].startswith("val_evaluator, CocoMetric's ann_file:")
    assert lines[2].startswith("  error: labels go by the order of the file's categories")
    check_parts.write("first.json", lambda file: file["images"].__delitem__(slice(1, None)))
    first = dict(ann_file=str(tmp_path / "shapes" / "first.json"))
    code, lines = check_parts(val=[{}], metrics=[first])
    assert code == 1 and lines[2].startswith("  error: it lacks images of CocoDataset (")
    assert lines[2].endswith("[image 2; image 3]")
    code, lines = check_parts(val=[{}], metrics=[dict(ann_file="gone.json")])
    assert code == 1 and lines[0] == "val_evaluator: "
    assert lines[1].startswith("  error: it cannot be built:") and "gone.json" in lines[1]


def test_each_metric_of_several_data_sets_measures_its_own(check_parts):
    boxes = check_parts.write("boxes.json", without_masks)
    metrics = [dict(metric=metric) for metric in ("segm", "bbox")]
    several = dict(type="MultiDatasetsEvaluator", dataset_prefixes=["masks", "boxes"])
    code, lines = check_parts(val=[{}, boxes], metrics=metrics, evaluator=several)
    assert code == 0 and lines[2].startswith("  warning: a box without a mask")
    code, lines = check_parts(val=[{}, boxes], metrics=metrics[::-1], evaluator=several)
    assert code == 1 and lines[2].startswith("  error: a box without a mask")


def test_a_missing_config_is_named(check, capsys):
    with pytest.raises(SystemExit):
        check(["nothing.py"])
    assert "nothing.py is not a file" in capsys.readouterr().err
