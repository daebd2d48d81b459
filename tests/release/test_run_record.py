"""Which evaluation belongs to a checkpoint, by logs as MMEngine writes them."""

import json

import pytest
from mmengine.config import ConfigDict

from mmdet_embedmask.release.run_record import evaluates_at, read_run, read_scalars, scalar_files


def train(step, **others):
    return dict(loss=1.0, step=step, **others)


def evaluation(mask_ap):
    # MMEngine writes no useful step here.
    return {"coco/segm_mAP": mask_ap, "step": 0}


@pytest.fixture
def run(tmp_path):
    def write(*lines, name="20260101_000000"):
        folder = tmp_path / name / "vis_data"
        folder.mkdir(parents=True)
        (folder / "scalars.json").write_text("\n".join(map(json.dumps, lines)))
        (tmp_path / name / f"{name}.log").write_text("text")
        return tmp_path

    return write


def test_an_evaluation_belongs_to_the_iterations_between_its_logged_neighbours(run):
    work_dir = run(
        *(train(10, memory=300), train(20, memory=400), evaluation(0.1)),
        *(train(30, memory=350), evaluation(0.2)),
    )
    assert read_run(work_dir, 25).metrics == {"coco/segm_mAP": 0.1}
    record = read_run(work_dir, 30)
    assert record.metrics == {"coco/segm_mAP": 0.2} and record.memory == 400
    assert record.log.name == "20260101_000000.log"
    with pytest.raises(ValueError, match="no evaluation of iteration 15"):
        read_run(work_dir, 15)


def test_the_iterations_of_a_run_are_counted_through_its_epochs(run):
    """Their `iter` starts again in every epoch; `step` counts on."""
    work_dir = run(
        *(train(50, epoch=1, iter=50), evaluation(0.1), train(127, epoch=2, iter=50)),
        *(train(154, epoch=2, iter=77), evaluation(0.2)),
    )
    assert read_run(work_dir, 77).metrics == {"coco/segm_mAP": 0.1}
    assert read_run(work_dir, 154).metrics == {"coco/segm_mAP": 0.2}


def test_evaluations_that_cannot_be_told_apart_are_not_guessed(run):
    work_dir = run(train(10), evaluation(0.1), evaluation(0.2), train(50))
    with pytest.raises(ValueError, match="no evaluation of iteration 40"):
        read_run(work_dir, 40)


def test_a_later_run_that_was_killed_early_lends_its_figures_to_no_older_checkpoint(run):
    work_dir = run(train(300), evaluation(0.5))
    run(train(100), evaluation(0.11), name="20260102_000000")
    assert read_run(work_dir, 300).metrics == {"coco/segm_mAP": 0.5}


@pytest.mark.parametrize("text", ["{}", "[0.3]", '"coco/"', '{"coco/segm_mAP": "high"}', "{", ""])
def test_a_file_of_metrics_without_figures_is_refused(run, tmp_path, text):
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(ValueError, match="metrics.json holds no figure of COCO"):
        read_run(run(train(10), evaluation(0.1)), 10, tmp_path / "metrics.json")


def test_both_starts_of_a_resumed_run_keep_their_evaluations(run):
    work_dir = run(train(10), evaluation(0.1))
    run(train(20), evaluation(0.2), name="20260102_000000")
    run(evaluation(0.3), name="20260103_000000")
    assert read_run(work_dir, 10).metrics == {"coco/segm_mAP": 0.1}
    assert read_run(work_dir, 20).metrics == {"coco/segm_mAP": 0.2}


def test_of_two_starts_that_both_fit_the_newest_counts(run):
    """A run that was resumed from the middle evaluates the same iterations again."""
    work_dir = run(train(10), evaluation(0.1), train(20), evaluation(0.2))
    run(train(20), evaluation(0.3), name="20260102_000000")
    assert read_run(work_dir, 20).metrics == {"coco/segm_mAP": 0.3}


def test_given_figures_take_the_log_of_training_not_of_a_test(run, tmp_path):
    (tmp_path / "metrics.json").write_text('{"coco/segm_mAP": 0.4}')
    work_dir = run(train(10))
    run(evaluation(0.3), name="20260102_000000")
    record = read_run(work_dir, 10, tmp_path / "metrics.json")
    assert record.metrics == {"coco/segm_mAP": 0.4}
    assert record.log.name == "20260101_000000.log"
    assert record.scalars == tmp_path / "20260101_000000" / "vis_data" / "scalars.json"


def test_a_start_whose_text_log_is_lost_is_passed_over(run):
    work_dir = run(train(10), evaluation(0.1))
    run(train(10), evaluation(0.2), name="20260102_000000")
    (work_dir / "20260102_000000" / "20260102_000000.log").unlink()
    assert read_run(work_dir, 10).metrics == {"coco/segm_mAP": 0.1}


def test_a_folder_without_a_log_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no training log"):
        read_run(tmp_path, 10)


@pytest.mark.parametrize(
    "train_cfg, epoch, iteration, expected",
    [
        (dict(type="IterBasedTrainLoop", max_iters=300, val_interval=100), 0, 200, True),
        (dict(type="IterBasedTrainLoop", max_iters=300, val_interval=100), 0, 220, False),
        (dict(type="IterBasedTrainLoop", max_iters=330, val_interval=100), 0, 330, True),
        (dict(type="IterBasedTrainLoop", max_iters=330), 0, 77, True),
        (dict(by_epoch=True, max_epochs=12, val_interval=4), 8, 777, True),
        (dict(type="EpochBasedTrainLoop", max_epochs=12, val_interval=4), 8, 777, True),
        (dict(type="EpochBasedTrainLoop", max_epochs=12, val_interval=4), 9, 776, False),
        (dict(by_epoch=True, max_epochs=12, val_interval=4), 9, 800, False),
    ],
)
def test_a_loop_evaluates_at_its_intervals_and_at_its_end(train_cfg, epoch, iteration, expected):
    assert evaluates_at(ConfigDict(train_cfg), epoch, iteration) is expected


def test_every_start_of_a_run_has_a_file_of_figures_the_newest_last(tmp_path):
    for start in ("20260102_000000", "20260101_000000"):
        path = tmp_path / start / "vis_data" / "scalars.json"
        path.parent.mkdir(parents=True)
        lines = [dict(step=1, loss=2.5), dict(step=2, start=start)]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    older, newest = scalar_files(tmp_path)
    assert read_scalars(newest) == [dict(step=1, loss=2.5), dict(step=2, start="20260102_000000")]
    assert read_scalars(older)[1]["start"] == "20260101_000000"


def test_a_folder_without_a_run_has_no_figures(tmp_path):
    assert scalar_files(tmp_path) == []
