"""What the sweep says of arguments that cannot work, before a model is built."""

from pathlib import Path

import pytest
from runs import CONFIGS

ROOT = Path(__file__).resolve().parents[2]
CONFIG = str(CONFIGS / "embedmask_r18_fpn_dsb2018.py")
PEER = str(CONFIGS / "peers" / "condinst_r18_fpn_dsb2018.py")


@pytest.fixture
def sweep(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import threshold_sweep

    monkeypatch.setattr(threshold_sweep, "build_detector", None)
    return threshold_sweep


@pytest.mark.parametrize(
    "config, options, message",
    [
        ("nothing.py", [], "nothing.py is not a file"),
        (PEER, [], "the config's model is CondInst: this tool looks inside EmbedMask alone"),
        (CONFIG, ["--thresholds", "0.5", "2"], "threshold 2.0 must be a probability"),
        (CONFIG, ["--out", __file__], "is a file, but must be a folder"),
    ],
)
def test_arguments_that_cannot_work_are_told_before_a_model_is_built(
    sweep, tmp_path, capsys, config, options, message
):
    checkpoint = tmp_path / "model.pth"
    checkpoint.touch()
    with pytest.raises(SystemExit):
        sweep.main([config, str(checkpoint), "--out", str(tmp_path / "out"), *options])
    assert message in capsys.readouterr().err
