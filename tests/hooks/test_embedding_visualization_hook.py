from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmdet.registry import HOOKS
from runs import build_runner, make_shapes, shapes_config
from tiny import build_model, data_batch
from torch.nn.parallel import DataParallel

from mmdet_embedmask import EmbeddingVisualizationHook, EmbedMaskTTAModel
from mmdet_embedmask.hooks import embedding_visualization_hook
from mmdet_embedmask.hooks.unwrapped import unwrapped_model
from mmdet_embedmask.inspection import inspect_image
from mmdet_embedmask.visualization.embedding_view import embedding_view
from mmdet_embedmask.visualization.style import GAP, HEADER_HEIGHT

SIZE = (64, 96)
TTA = dict(nms=dict(iou_threshold=0.6), max_per_img=10)


class Recorder:
    dataset_meta = dict(classes=("a", "b", "c"))

    def __init__(self):
        self.added = []

    def add_image(self, name, image, step):
        self.added.append((name, image, step))


@pytest.fixture
def model():
    return build_model().eval()


def fake_runner(model):
    return SimpleNamespace(model=model, visualizer=Recorder(), iter=7)


COLORS = [(200, 0, 0), (0, 0, 200), (0, 200, 0)]
"""Of the images of a batch: red, blue, green."""


def batch_of(tmp_path, count):
    batch = data_batch([1] * count, size=SIZE)
    for index, sample in enumerate(batch["data_samples"]):
        path = tmp_path / f"{index}.png"
        cv2.imwrite(str(path), np.full((*SIZE, 3), COLORS[index][::-1], np.uint8))
        sample.set_metainfo(dict(img_path=str(path)))
    return batch


def input_panel(picture):
    top = GAP + 2 * HEADER_HEIGHT
    return picture[top : top + 240, GAP : GAP + 360]


def test_pictures_of_every_interval_get_their_names_and_step(tmp_path, model):
    runner = fake_runner(model)
    hook = EmbeddingVisualizationHook(interval=2, max_images=2, score_thr=0.0, max_instances=3)
    for mode in ("val", "test"):
        getattr(hook, f"before_{mode}_epoch")(runner)
        for index in range(4):  # 12 images, of which 0 and 2 are drawn
            getattr(hook, f"after_{mode}_iter")(runner, index, batch_of(tmp_path, 3), None)
    names = [
        f"{m}_{kind}_{i}"
        for m in ("val", "test")
        for i in (0, 1)
        for kind in ("embedding_view", "coupling_maps")
    ]
    assert [name for name, _, _ in runner.visualizer.added] == names
    assert {step for _, _, step in runner.visualizer.added} == {7}
    embedding, coupling = (image for _, image, _ in runner.visualizer.added[:2])
    assert embedding.shape == (2 * HEADER_HEIGHT + 240 + 2 * GAP, 4 * 360 + 5 * GAP, 3)
    rows = 3 * (HEADER_HEIGHT + 160 + GAP)
    assert coupling.shape == (2 * GAP + 3 * HEADER_HEIGHT + rows, 5 * 240 + 6 * GAP, 3)
    # Images 0 and 2 of the first batch, now in red, green, blue.
    assert (input_panel(embedding) == COLORS[0]).all()
    assert (input_panel(runner.visualizer.added[2][1]) == COLORS[2]).all()


def test_of_several_views_the_first_unflipped_one_is_drawn(tmp_path, model):
    hook = EmbeddingVisualizationHook(score_thr=0.0, interval=1)
    plain, augmented = fake_runner(model), fake_runner(EmbedMaskTTAModel(model, TTA))
    hook.after_test_iter(plain, 0, batch_of(tmp_path, 2), None)
    batch = batch_of(tmp_path, 2)
    flipped = dict(flip=True, flip_direction="horizontal")
    mirrored = [sample.clone() for sample in batch["data_samples"]]
    for sample in mirrored:
        sample.set_metainfo(flipped)
    views = dict(
        inputs=[[image.flip([2]) for image in batch["inputs"]], batch["inputs"]],
        data_samples=[mirrored, batch["data_samples"]],
    )
    hook.before_test_epoch(augmented)
    hook.after_test_iter(augmented, 0, views, None)
    assert len(plain.visualizer.added) == len(augmented.visualizer.added) == 4
    for (name, picture, _), (other, drawn, _) in zip(
        plain.visualizer.added, augmented.visualizer.added, strict=True
    ):
        assert name == other and (picture == drawn).all()


def test_the_part_reaches_the_picture(tmp_path, model):
    runner, batch = fake_runner(model), batch_of(tmp_path, 1)
    hook = EmbeddingVisualizationHook(score_thr=0.0, part="spatial_free", coupling_name=None)
    hook.after_val_iter(runner, 0, batch, None)
    image, inspected = cv2.imread(str(tmp_path / "0.png")), inspect_image(model, batch, 0.0)
    free, both = (
        embedding_view(image, inspected, mask_thr=0.5, title="0.png, iteration 7", part=part)[
            ..., ::-1
        ]
        for part in ("spatial_free", "both")
    )
    ((_, drawn, _),) = runner.visualizer.added
    assert (drawn == free).all() and (drawn != both).any()


def test_only_the_main_process_draws(tmp_path, model, monkeypatch):
    monkeypatch.setattr(embedding_visualization_hook, "is_main_process", lambda: False)
    runner = fake_runner(model)
    EmbeddingVisualizationHook().after_val_iter(runner, 0, batch_of(tmp_path, 1), None)
    assert not runner.visualizer.added


def test_counting_starts_again_with_each_validation(tmp_path, model):
    runner = fake_runner(model)
    hook = EmbeddingVisualizationHook(interval=10, max_images=1, coupling_name=None)
    for _ in range(2):
        hook.before_val_epoch(runner)
        hook.after_val_iter(runner, 0, batch_of(tmp_path, 2), None)
    assert [name for name, _, _ in runner.visualizer.added] == ["val_embedding_view_0"] * 2


def test_a_wrapped_model_is_looked_into(tmp_path, model):
    runner = fake_runner(DataParallel(model))
    hook = EmbeddingVisualizationHook(score_thr=0.0, embedding_name=None, coupling_name="maps")
    hook.after_val_iter(runner, 0, batch_of(tmp_path, 1), None)
    assert [name for name, _, _ in runner.visualizer.added] == ["val_maps_0"]


def test_the_model_is_found_inside_all_wrappers(model):
    # MMEngine wraps the augmented model, users may wrap the model that is augmented.
    for wrapped in (
        DataParallel(EmbedMaskTTAModel(model, TTA)),
        EmbedMaskTTAModel(model, TTA),
        DataParallel(DataParallel(model)),
    ):
        assert unwrapped_model(SimpleNamespace(model=wrapped)) is model


def test_without_detections_there_are_no_coupling_maps(tmp_path, model):
    runner = fake_runner(model)
    EmbeddingVisualizationHook(score_thr=1.0).after_val_iter(runner, 0, batch_of(tmp_path, 1), None)
    assert [name for name, _, _ in runner.visualizer.added] == ["val_embedding_view_0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(interval=0), "interval=0 must be a whole number of at least 1"),
        (dict(max_images=1.5), "max_images=1.5 must be a whole number"),
        (dict(max_instances=0), "max_instances=0"),
        (dict(score_thr=1.1), "score_thr=1.1 must lie between 0 and 1"),
        (
            dict(part="all"),
            r"part='all' is unknown: choose one of \('both', 'spatial_aware', 'spatial_free'\)",
        ),
        (dict(embedding_name=None, coupling_name=None), "nothing is drawn"),
        (dict(embedding_name="x", coupling_name="x"), "are both 'x'"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        EmbeddingVisualizationHook(**arguments)


def test_other_models_and_missing_paths_are_named(tmp_path, model):
    hook = EmbeddingVisualizationHook()
    with pytest.raises(ValueError, match="the model is a SimpleNamespace: remove the hook"):
        hook.before_run(fake_runner(SimpleNamespace()))
    hook.before_run(fake_runner(model))
    small = dict(embed_dim=4)  # two channels each
    four = fake_runner(build_model(bbox_head=small, mask_head=small))
    EmbeddingVisualizationHook(part="spatial_free").before_run(four)
    free = dict(embedding="spatial_free")
    spatial_free = build_model(bbox_head=free, mask_head=free)
    with pytest.raises(ValueError, match="no spatial_aware part: choose part='both'"):
        EmbeddingVisualizationHook(part="spatial_aware").before_run(fake_runner(spatial_free))
    hook.before_val_epoch(None)
    with pytest.raises(ValueError, match="add 'img_path' to meta_keys"):
        hook.after_val_iter(fake_runner(model), 0, data_batch([1], size=SIZE), None)


def test_a_run_writes_the_pictures_to_its_backend(tmp_path):
    assert HOOKS.get("EmbeddingVisualizationHook") is EmbeddingVisualizationHook
    hook = dict(type="EmbeddingVisualizationHook", interval=2, score_thr=0.0, max_instances=2)
    cfg = shapes_config(
        make_shapes(tmp_path / "shapes", 3, size=64),
        tmp_path / "run",
        1,
        custom_hooks=[hook],
        **{"model.test_cfg.score_thr": 0.0},
    )
    runner = build_runner(cfg)
    runner.val_loop.run()
    files = sorted(path.name for path in (tmp_path / "run").rglob("vis_image/*"))
    assert files == [
        f"val_{kind}_{i}_0.png" for kind in ("coupling_maps", "embedding_view") for i in (0, 1)
    ]
    (path,) = (tmp_path / "run").rglob("val_embedding_view_1_0.png")
    # The third image, enlarged to the panel: the same colours in the same places.
    image = cv2.imread(str(sorted((tmp_path / "shapes" / "train").iterdir())[2]))
    top = GAP + 2 * HEADER_HEIGHT
    shown = cv2.imread(str(path))[top : top + 360, GAP : GAP + 360]
    small = cv2.resize(shown, (64, 64), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(small - image).mean() < 4
