import json
import os
import shutil
import subprocess

import pytest
import torch
from tool_module import TOOLS, load_tool

from mmdet_embedmask.benchmark import gpu_report
from mmdet_embedmask.benchmark.report_parts import PARTS, PartResult, ReportPart, Table
from mmdet_embedmask.benchmark.turns import NotMeasured


@pytest.fixture
def parts(monkeypatch):
    """The parts' names, none of which measures anything; one can be made to miss something."""
    missing = {}

    def measure(name):
        table = Table("Nothing.", ["a"], [["1"]])
        return lambda setup: PartResult([table], str(setup.scale.size), missing.get(name, []))

    monkeypatch.setattr(gpu_report, "free_memory", lambda: None)
    short = Table("In short.", ["", "EmbedMask"], [["parts", "2"]])
    monkeypatch.setattr(gpu_report, "summary_of", lambda results: short)
    for name in PARTS:
        monkeypatch.setitem(PARTS, name, ReportPart(f"Part {name}", measure(name)))
    return missing


def report(*arguments):
    threads = torch.get_num_threads()
    try:
        load_tool("gpu_report").main([str(a) for a in arguments])
    finally:
        torch.set_num_threads(threads)


def test_all_parts_are_measured_in_small_on_a_cpu_once(parts, tmp_path, capsys):
    report("--device", "cpu", "--small", "--out", tmp_path)
    last = capsys.readouterr().out.splitlines()[-7:]
    assert last[0] == "In short." and [cell.strip() for cell in last[4].split("|")[1:3]] == [
        "parts",
        "2",
    ]
    assert last[-1] == f"The report is {tmp_path / 'report.md'}"
    content = json.loads((tmp_path / "report.json").read_text())
    assert list(content["parts"]) == list(PARTS)
    assert {part["result"]["figures"] for part in content["parts"].values()} == {"(128, 160)"}
    assert content["machine"]["device"] == "CPU" and content["machine"]["CPU threads"] == "1"
    # Nothing is left to do.
    report("--device", "cpu", "--small", "--out", tmp_path)
    assert capsys.readouterr().out.count("measured before") == len(PARTS)


def test_the_parts_that_are_asked_for_are_measured_at_full_size(parts, tmp_path):
    report("--device", "cpu", "--out", tmp_path, "--parts", "training", "ceilings")
    content = json.loads((tmp_path / "report.json").read_text())
    assert list(content["parts"]) == ["training", "ceilings"]
    assert content["parts"]["training"]["result"]["figures"] == "(800, 1333)"


def test_the_exit_code_tells_of_failures_and_not_of_what_is_not_installed(parts, tmp_path):
    absent = NotMeasured("Mask R-CNN", "NotImplementedError: RoIAlign", expected=True)
    parts["training"] = [absent]
    report("--device", "cpu", "--small", "--out", tmp_path)
    parts["masks"] = [absent, NotMeasured("CondInst", "ValueError: odd", expected=False)]
    with pytest.raises(SystemExit) as exit_:
        report("--device", "cpu", "--small", "--out", tmp_path / "other")
    # A text: Python prints it and ends with 1.
    assert exit_.value.code == (
        "error: not everything could be measured:\n- CondInst: ValueError: odd"
    )
    assert (tmp_path / "other" / "report.md").is_file()


def test_another_size_is_not_mixed_in(parts, tmp_path):
    report("--device", "cpu", "--small", "--out", tmp_path)
    with pytest.raises(SystemExit, match="error: .* no other figures can be mixed .*another --out"):
        report("--device", "cpu", "--out", tmp_path)


def test_bad_arguments_are_told(parts, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for arguments, message in (
        ((), "--device: torch finds no CUDA device here, take --device cpu"),
        (("--device", "cpu", "--out", __file__), "is a file, but must be a folder to write into"),
        (("--device", "cpu", "--parts", "all"), "--parts: invalid choice: 'all'"),
    ):
        with pytest.raises(SystemExit):
            report(*arguments)
        assert message in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(
    ("settings", "python", "arguments", "installs"),
    [
        ([], ".venv/bin/python", "--device cuda --out work_dirs/gpu_report", True),
        (["DEVICE=cpu"], ".venv/bin/python", "--device cpu --small --out", True),
        (["GPU_PYTHON=my/python", "GPU_OUT=x"], "my/python", "--device cuda --out x", False),
    ],
)
def test_make_gpu_makes_the_report_by_its_settings(settings, python, arguments, installs):
    # As if nothing were there, also where an environment is.
    command = ["make", "-n", "-B", "gpu", *settings]
    # Settings of a make that runs these tests are not this one's.
    outer = ("MAKEFLAGS", "MAKEOVERRIDES", "VENV", "MMCV")
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    planned = subprocess.run(
        command, cwd=TOOLS.parent, capture_output=True, text=True, check=True, env=environment
    ).stdout.replace("\\\n", " ")
    (line,) = (line for line in planned.splitlines() if "gpu_report.py" in line)
    assert f"{python} tools/gpu_report.py {arguments}" in " ".join(line.split())
    assert ("pip install" in planned) == installs
    # Where there is no GPU there is no torchvision either.
    assert ("torchvision" in planned) == (installs and "DEVICE=cpu" not in settings)
