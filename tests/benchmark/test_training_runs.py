import json
import sys

import pytest

from mmdet_embedmask.benchmark import training_runs
from mmdet_embedmask.benchmark.peak_memory import peak_resident_memory
from mmdet_embedmask.benchmark.training_runs import (
    final_metrics,
    finished_run,
    gpu_memory,
    mask_ap_curve,
    mean_and_spread,
    run_training,
    seconds_per_iteration,
    write_finished,
)


def write_log(folder, *lines):
    folder.mkdir(parents=True)
    (folder / "scalars.json").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_final_metrics_are_the_last_of_the_newest_run(tmp_path):
    with pytest.raises(ValueError, match="did not end with a mask AP, see .*output.txt"):
        final_metrics(tmp_path)
    evaluated = [{"coco/bbox_mAP": 0.1 * i, "coco/segm_mAP": 0.2 * i} for i in (1, 2)]
    write_log(tmp_path / "20260101_000000" / "vis_data", {"loss": 1.0}, *evaluated)
    assert final_metrics(tmp_path) == {"coco/bbox_mAP": 0.2, "coco/segm_mAP": 0.4}
    write_log(tmp_path / "20260102_000000" / "vis_data", {"loss": 1.0})
    with pytest.raises(ValueError, match="did not end with a mask AP"):
        final_metrics(tmp_path)  # a newer run that was interrupted


def test_a_curve_has_every_evaluation_of_the_newest_run(tmp_path):
    assert mask_ap_curve(tmp_path) == []
    lines = [{"coco/segm_mAP": 0.1 * i, "step": 100 * i} for i in (1, 2)]
    write_log(tmp_path / "20260101_000000" / "vis_data", {"loss": 1.0, "step": 50}, *lines)
    assert mask_ap_curve(tmp_path) == [(100, 0.1), (200, 0.2)]


def test_only_a_run_that_ended_with_the_same_options_is_finished(tmp_path):
    evaluated = {"coco/bbox_mAP": 0.1, "coco/segm_mAP": 0.2}
    # Evaluated on the way, and then killed.
    write_log(tmp_path / "20260101_000000" / "vis_data", evaluated, {"loss": 1.0})
    options = ["config.py", "randomness.seed=0"]
    assert finished_run(tmp_path, options) is None
    write_finished(tmp_path, options, evaluated)
    assert finished_run(tmp_path, options) == evaluated
    with pytest.raises(
        ValueError, match=r"other options \(they stand in .*done.json\): take another --work-dir"
    ):
        finished_run(tmp_path, ["config.py", "randomness.seed=1"])


def test_a_detector_without_boxes_has_no_box_ap(tmp_path):
    write_log(tmp_path / "20260101_000000" / "vis_data", {"coco/segm_mAP": 0.3})
    assert final_metrics(tmp_path) == {"coco/segm_mAP": 0.3}


def test_time_and_memory_of_the_iterations(tmp_path):
    lines = [dict(loss=1.0, time=t, memory=m) for t, m in ((9.0, 10), (1.0, 30), (2.0, 20))]
    write_log(tmp_path / "20260101_000000" / "vis_data", *lines, dict(time=50.0))
    assert seconds_per_iteration(tmp_path) == 2.0
    assert gpu_memory(tmp_path) == 30 * 2**20


def test_a_run_without_iterations_is_refused_and_one_without_gpu_has_no_memory(tmp_path):
    assert gpu_memory(tmp_path) is None
    with pytest.raises(ValueError, match="no iteration was logged, set default_hooks.logger"):
        seconds_per_iteration(tmp_path)


HOLD = """
import sys, time
from pathlib import Path
megabytes, folder = int(sys.argv[1]), Path(sys.argv[2])
held = b"x" * (megabytes * 2**20)
(folder / "held").touch()
while not (folder / "seen").exists():
    time.sleep(0.01)
print("done")
"""


def test_the_memory_is_that_of_the_process_itself(tmp_path, monkeypatch):
    """Each holds its memory until it has been looked at, however long that takes."""
    monkeypatch.setattr(training_runs, "SECONDS_BETWEEN_READINGS", 0.01)

    def hold(megabytes):
        folder = tmp_path / str(megabytes)

        def look(pid):
            held = (folder / "held").exists()
            peak = peak_resident_memory(pid)
            if held:
                (folder / "seen").touch()
            return peak

        monkeypatch.setattr(training_runs, "peak_resident_memory", look)
        return run_training([sys.executable, "-c", HOLD, str(megabytes), str(folder)], folder)

    large, small = hold(200), hold(1)
    assert 195 * 2**20 < large - small < 205 * 2**20
    assert (tmp_path / "1" / "output.txt").read_text() == "done\n"


def test_a_failed_run_names_its_output(tmp_path):
    with pytest.raises(ValueError, match="training ended with code 3, see .*output.txt"):
        run_training([sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "run")


def test_a_spread_is_told_of_several_values_alone():
    assert mean_and_spread([0.4, 0.5], scale=100) == "45.0 (40.0 to 50.0)"
    assert mean_and_spread([1.234], digits=2) == "1.23"
    assert mean_and_spread([]) == "none"
