"""Importing the package leaves MMDetection's other models, and what they are built of, alone."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mmdet_embedmask

ROOT = Path(__file__).resolve().parents[1]

# In a process of its own, before and after the import. Where MMCV is not compiled, MMDetection
# cannot be imported before this package: the stand-in is put in place by itself, first.
PROGRAM = """
import importlib, json, sys, types, warnings
warnings.simplefilter("ignore")
from pathlib import Path

folder, package = Path(sys.argv[1]), types.ModuleType("mmdet_embedmask")
package.__path__ = [str(Path(sys.argv[2]) / "mmdet_embedmask")]
sys.modules["mmdet_embedmask"] = package
importlib.import_module("mmdet_embedmask.compat.mmcv_ops").install_mmcv_ops()
for name in [name for name in sys.modules if name.split(".")[0] == "mmdet_embedmask"]:
    del sys.modules[name]

import torch
import mmdet.datasets, mmdet.engine, mmdet.evaluation, mmdet.models, mmengine.runner
from mmengine.fileio.backends import backends
from mmengine.registry import Registry

PARENTS = ("mmcv", "mmdet", "mmengine", "pycocotools", "torch")


def attributes():
    '''What every name of the parents' modules and classes means.'''
    found = {}
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] not in PARENTS:
            continue
        for key, value in list(vars(module).items()):
            if isinstance(value, types.ModuleType) or key.startswith("__"):
                continue
            found[name, key] = value
            if isinstance(value, type) and value.__module__ == name:
                for part, member in list(vars(value).items()):
                    if part not in ("__abstractmethods__", "_abc_impl", "__doc__"):
                        found[name, key, part] = member
    return found


def registered():
    return {
        (value.name, key): kind
        for names, value in attributes().items()
        if isinstance(value, Registry)
        for key, kind in value.module_dict.items()
    }


def behaviour():
    '''Labels of a file in another order than the classes, and what a metric says of them.'''
    from mmdet.datasets import CocoDataset
    from mmdet.evaluation import CocoMetric

    path, classes = str(folder / "train.json"), ("cat", "dog")
    data = CocoDataset(ann_file=path, data_prefix=dict(img=""), metainfo=dict(classes=classes))
    labels = [instance["bbox_label"] for instance in data.get_data_info(0)["instances"]]
    metric = CocoMetric(ann_file=path, metric="bbox")
    metric.dataset_meta = dict(classes=classes)
    pred = dict(
        bboxes=torch.tensor([[1.0, 1.0, 5.0, 5.0]]), scores=torch.ones(1), labels=torch.tensor([0])
    )
    metric.process({}, [dict(img_id=1, ori_shape=(8, 12), pred_instances=pred)])
    return dict(labels=labels, cat_ids=data.cat_ids, results=metric.evaluate(size=1))


before = attributes(), registered(), dict(backends), behaviour()
import mmdet_embedmask
after = attributes(), registered(), dict(backends), behaviour()

print()
print(
    json.dumps(
        dict(
            modules=len({names[0] for names in before[0]}),
            replaced=sorted(
                ".".join(names)
                for names, value in before[0].items()
                if after[0].get(names, None) is not value
            ),
            reregistered=[key for key, kind in before[1].items() if after[1].get(key) is not kind],
            registered=sorted(key[1] for key in after[1].keys() - before[1].keys()),
            backends=sorted(after[2].keys() - before[2].keys()),
            before=before[3],
            after=after[3],
        )
    )
)
"""
ALLOWED = {"mmengine.runner.checkpoint.CheckpointLoader.load_checkpoint"}
"""What reads the checkpoints of MMEngine's runner."""

FILE = dict(
    images=[dict(id=1, file_name="a.png", height=8, width=12)],
    annotations=[
        dict(id=n, image_id=1, category_id=n, bbox=[n, 1, 4, 4], area=16, iscrowd=0) for n in (1, 2)
    ],
    categories=[dict(id=1, name="dog"), dict(id=2, name="cat")],
)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a new process says of the time before and after the import."""
    folder = tmp_path_factory.mktemp("import")
    (folder / "train.json").write_text(json.dumps(FILE))
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, folder, ROOT],
        env=os.environ | dict(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_nothing_of_the_parents_is_replaced(told):
    assert told["modules"] > 500
    assert set(told["replaced"]) == ALLOWED and told["reregistered"] == []


def test_the_import_adds_what_the_packages_docstring_says(told):
    classes = {name for name in mmdet_embedmask.__all__ if not name.startswith("__")}
    # As the package's own words say.
    assert set(told["registered"]) == classes
    assert told["backends"] == ["atomic_local"]
    for name in ("atomic_local", "mmcv._ext", "torch.load", "Registered names"):
        assert name in mmdet_embedmask.__doc__


def test_mmdetections_own_data_sets_and_metrics_give_what_they_gave(told):
    # MMDetection's labels go by the file: dog is 0, whatever the classes' order.
    assert told["before"]["labels"] == [0, 1] and told["before"]["cat_ids"] == [1, 2]
    assert told["before"]["results"]["coco/bbox_mAP"] == 0.5
    assert told["after"] == told["before"]


ROOMS_BELOW = {
    "functional": {"functional"},
    "options": {"functional"},
    "layers": {"functional", "layers", "options"},
    "heads": {"functional", "layers", "heads", "options"},
    "checks": {"functional", "checks"},
}
"""What the files of each of these rooms import of the package."""


@pytest.mark.parametrize("room", ROOMS_BELOW)
def test_imports_point_downwards(room):
    package = ROOT / "mmdet_embedmask"
    for path in [*(package / room).rglob("*.py"), *package.glob(f"{room}.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = path.parents[node.level - 1].relative_to(package).parts
                target = (*base, *(node.module or "").split("."))[0]
                assert target in ROOMS_BELOW[room], (path, target)
