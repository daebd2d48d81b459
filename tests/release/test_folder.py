"""Releases of checkpoints that other programs left: converted ones, and runs by hand."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import yaml
from demo_model import demo_config, save_checkpoint
from mmengine.config import Config
from pycocotools import mask as coco_mask
from released_checkpoints import tiny_config, tiny_network
from zoo import add_to_zoo, zoo_facts

from mmdet_embedmask.conversion.official import recognize
from mmdet_embedmask.conversion.our_checkpoint import our_checkpoint
from mmdet_embedmask.release import folder as release_folder
from mmdet_embedmask.release.folder import publish
from mmdet_embedmask.release.verification import verify_release

PICTURE = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
FIGURES = {"coco/bbox_mAP": 0.382, "coco/segm_mAP": 0.348}


@pytest.fixture
def image(tmp_path):
    cv2.imwrite(str(tmp_path / "image.png"), PICTURE)
    return tmp_path / "image.png"


@pytest.fixture
def metrics(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(FIGURES))
    return tmp_path / "metrics.json"


@pytest.fixture
def demo(tmp_path):
    """A checkpoint with weights, config and classes alone, and what the zoo says of it."""
    config = add_to_zoo(tmp_path / "clone", "demo.py", demo_config())
    facts = zoo_facts(config)
    return save_checkpoint(tmp_path / "demo.pth"), facts


def publish_in(folder, checkpoint, **options):
    return publish(checkpoint, work_dir=folder, out=folder / "out", **options)


def released(folder, name):
    return (folder / name.format(folder.name)).read_text()


def test_a_converted_checkpoint_is_released_without_a_log(tmp_path, image, metrics):
    source = tiny_config(tmp_path, "released/embedmask_r50_fpn_1x_coco_released.py")
    config = Config.fromfile(source)
    # Random weights are sure of nothing.
    config.merge_from_dict({"model.test_cfg.score_thr": 0.0, "model.test_cfg.nms_pre": 50})
    config.merge_from_dict({"test_dataloader.dataset.pipeline.1.scale": (192, 192)})
    theirs = recognize(tiny_network(source)[1])
    torch.save(our_checkpoint(theirs, config, "tiny.py", "ab" * 32), tmp_path / "ours.pth")
    path = add_to_zoo(tmp_path / "clone", "released/net.py", config)
    facts = zoo_facts(path)

    folder = publish_in(tmp_path, tmp_path / "ours.pth", image=image, facts=facts, metrics=metrics)

    assert folder.name.startswith("net_undated-")
    assert sorted(path.name for path in folder.iterdir()) == [
        *("SHA256SUMS", "environment.json", "metafile_entry.yml", "metrics.json"),
        *(f"{folder.name}.pth", f"{folder.name}.py", "readme_row.md", "verification"),
    ]
    (entry,) = yaml.safe_load(released(folder, "metafile_entry.yml"))
    assert entry["Config"] == "configs/embedmask/released/net.py"
    assert entry["Metadata"]["Training Log"] == "none"
    assert entry["Metadata"]["Schedule"] == "90000 iterations"
    assert [result["Metrics"] for result in entry["Results"]] == [
        {"box AP": 38.2},
        {"mask AP": 34.8},
    ]
    row = released(folder, "readme_row.md")
    assert f"[model](http://host/zoo/{folder.name}/{folder.name}.pth) \\| no log" in row
    meta = torch.load(folder / f"{folder.name}.pth", weights_only=True)["meta"]
    assert (meta["family"], meta["source_sha256"]) == ("plain", "ab" * 32)
    assert verify_release(folder).holds


def test_a_converted_checkpoint_without_metrics_is_refused(tmp_path, image, demo):
    checkpoint, facts = demo
    with pytest.raises(ValueError, match=r"demo.pth names no iteration, .* tools/test.py .*--metr"):
        publish_in(tmp_path, checkpoint, image=image, facts=facts)
    assert not (tmp_path / "out").exists()


def write_run(folder, *lines):
    log = folder / "20260101_000000"
    (log / "vis_data").mkdir(parents=True)
    (log / "vis_data" / "scalars.json").write_text("\n".join(map(json.dumps, lines)))
    (log / "20260101_000000.log").write_text("as text")


def test_the_entry_tells_memory_and_schedule_of_a_run_in_epochs(tmp_path, image, demo):
    config = demo_config()
    config.train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=12)
    content = torch.load(demo[0], weights_only=True)
    content["meta"] |= dict(cfg=config.pretty_text, epoch=12, iter=48, time="20260102_030405")
    torch.save(content, tmp_path / "epoch_12.pth")
    write_run(tmp_path, dict(loss=1.0, step=48, memory=2560), FIGURES | dict(step=0))

    folder = publish_in(tmp_path, tmp_path / "epoch_12.pth", image=image, facts=demo[1])

    assert folder.name.startswith("demo_20260102-")
    (entry,) = yaml.safe_load(released(folder, "metafile_entry.yml"))
    assert entry["Metadata"] == {
        "Training Data": "COCO",
        "Backbone": "ResNet-18",
        "Style": "pytorch",
        "Schedule": "12 epochs",
        "Source of Results": "a test",
        "Training Memory (GB)": 2.5,
    }
    assert released(folder, "{}.log") == "as text"
    assert released(folder, "{}.log.json").count("\n") == 1
    assert json.loads(released(folder, "metrics.json")) == FIGURES


def test_another_models_config_is_refused(tmp_path, image, metrics, demo):
    checkpoint, facts = demo
    other = add_to_zoo(tmp_path / "clone", "other.py", demo_config(max_per_img=7))
    facts = replace(facts, config=str(other))
    message = "other.py is not the config .* model.test_cfg.max_per_img is 7 in it and 10 in the"
    with pytest.raises(ValueError, match=message):
        publish_in(tmp_path, checkpoint, image=image, facts=facts, metrics=metrics)


def test_a_threshold_that_was_chosen_after_training_is_released(tmp_path, image, metrics, demo):
    checkpoint, facts = demo
    before = publish(
        checkpoint,
        work_dir=tmp_path,
        out=tmp_path / "before",
        image=image,
        facts=facts,
        metrics=metrics,
    )
    other = add_to_zoo(tmp_path / "clone", "other.py", demo_config(mask_thr=0.9))
    facts = replace(facts, config=str(other))
    folder = publish_in(tmp_path, checkpoint, image=image, facts=facts, metrics=metrics)
    meta = torch.load(folder / f"{folder.name}.pth", weights_only=True)["meta"]
    assert meta["cfg"] == released(folder, "{}.py")
    assert Config.fromstring(meta["cfg"], ".py").model.test_cfg.mask_thr == 0.9
    higher, lower = (
        [
            record["segmentation"]
            for record in json.loads(released(path, "verification/output.json"))
        ]
        for path in (folder, before)
    )
    # Of the same detections, masks that lie within those of 0.5.
    assert len(higher) == len(lower) == 10 and coco_mask.area(lower).min() > 0
    assert coco_mask.area(higher).sum() < coco_mask.area(lower).sum()
    assert np.all(coco_mask.decode(higher) <= coco_mask.decode(lower))
    assert verify_release(folder).holds


def test_figures_of_another_threshold_are_not_released(tmp_path, image, demo):
    content = torch.load(demo[0], weights_only=True)
    config = demo_config()
    config.train_cfg = dict(type="IterBasedTrainLoop", max_iters=4)
    content["meta"] |= dict(cfg=config.pretty_text, epoch=0, iter=4)
    torch.save(content, tmp_path / "iter_4.pth")
    write_run(tmp_path, dict(loss=1.0, step=4), FIGURES | dict(step=4))
    other = add_to_zoo(tmp_path / "clone", "other.py", demo_config(mask_thr=0.9))
    message = "iter_4.pth was evaluated with another mask_thr than .*other.py sets: run tools/test"
    with pytest.raises(ValueError, match=message):
        facts = replace(demo[1], config=str(other))
        publish_in(tmp_path, tmp_path / "iter_4.pth", image=image, facts=facts)
    folder = publish_in(tmp_path, tmp_path / "iter_4.pth", image=image, facts=demo[1])
    assert json.loads(released(folder, "metrics.json")) == FIGURES


def test_a_config_outside_the_zoo_is_not_released(tmp_path, image, metrics, demo):
    checkpoint, facts = demo
    (tmp_path / "mine.py").write_text(demo_config().pretty_text)
    facts = replace(facts, config=str(tmp_path / "mine.py"))
    with pytest.raises(ValueError, match="mine.py does not lie in configs/embedmask/"):
        publish_in(tmp_path, checkpoint, image=image, facts=facts, metrics=metrics)


def test_a_file_that_is_no_image_is_refused(tmp_path, metrics, demo):
    (tmp_path / "image.png").write_text("no image")
    with pytest.raises(ValueError, match=r"image.png is not an image .* give another \(--image\)"):
        publish_in(tmp_path, demo[0], image=tmp_path / "image.png", facts=demo[1], metrics=metrics)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_cannot_be_verified_is_not_released(tmp_path, image, metrics, demo, monkeypatch):
    two_stages = Config(dict(model=dict(test_cfg=dict(rcnn=dict(score_thr=0.05)))))
    monkeypatch.setattr(release_folder, "predict_alone", lambda *_: ([dict(score=1)], two_stages))
    with pytest.raises(ValueError, match="model.test_cfg has no score_thr"):
        publish_in(tmp_path, demo[0], image=image, facts=demo[1], metrics=metrics)
    assert list((tmp_path / "out").iterdir()) == []
