import json

from mmdet_embedmask.run_log import read_scalars, scalar_files


def test_figures_of_every_start_the_newest_last(tmp_path):
    for start in ("20260102_000000", "20260101_000000"):
        path = tmp_path / start / "vis_data" / "scalars.json"
        path.parent.mkdir(parents=True)
        lines = [dict(step=1, loss=2.5), dict(step=2, start=start)]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    older, newest = scalar_files(tmp_path)
    assert read_scalars(newest) == [dict(step=1, loss=2.5), dict(step=2, start="20260102_000000")]
    assert read_scalars(older)[1]["start"] == "20260101_000000"


def test_a_folder_without_a_run(tmp_path):
    assert scalar_files(tmp_path) == []
