import json
from dataclasses import replace

import pytest

from mmdet_embedmask.benchmark import gpu_report
from mmdet_embedmask.benchmark.gpu_report import WHOLE_PART, Report, summary_of
from mmdet_embedmask.benchmark.mask_stage import FLOOR
from mmdet_embedmask.benchmark.report_parts import PartResult, ReportPart, Setup, Table
from mmdet_embedmask.benchmark.report_scale import FULL, SMALL, SMALL_IN_WORDS
from mmdet_embedmask.benchmark.turns import NotMeasured

MACHINE = {"device": "NVIDIA H200", "torch": "2.13.0"}
SETUP = Setup("cuda", FULL, ())
NO_ROI_ALIGN = NotMeasured("Mask R-CNN", "NotImplementedError: RoIAlign.", expected=True)
WRONG = NotMeasured("SOLOv2", "ValueError: odd", expected=False)


class FakeParts:
    """Two parts; each notes that it was measured, and gives what the test says."""

    def __init__(self):
        self.log = []
        self.missing = {"first": [], "second": []}
        self.errors = {}
        self.parts = {
            name: ReportPart(f"The {name}", lambda setup, name=name: self.measure(setup, name))
            for name in self.missing
        }

    def measure(self, setup, name):
        assert setup is SETUP
        self.log.append(name)
        if name in self.errors:
            raise self.errors[name]
        table = Table(f"What the {name} means.", ["detector", "ms"], [[name, "1.5"]])
        return PartResult([table], [1.5], self.missing[name])


@pytest.fixture
def fake(monkeypatch):
    fake = FakeParts()
    monkeypatch.setattr(gpu_report, "PARTS", fake.parts)
    monkeypatch.setattr(gpu_report, "free_memory", lambda: None)
    return fake


@pytest.fixture
def report(tmp_path, fake):
    """A report as a new run makes it."""

    def made(machine=MACHINE, setup=SETUP):
        report = Report(tmp_path / "report", setup, machine)
        report.resume()
        return report

    return made


WHOLE = """\
# EmbedMask beside other detectors on: NVIDIA H200

All weights are untrained; each detector is made to find the same number of instances. An image is \
noise.

## Environment

What the figures below depend on. On a GPU, 'float32' below is with TF32 where it is on here.

|        | is          |
| ------ | ----------- |
| device | NVIDIA H200 |
| torch  | 2.13.0      |

## The first

What the first means.

| detector | ms  |
| -------- | --- |
| first    | 1.5 |

- Mask R-CNN: not measured: NotImplementedError: RoIAlign.

## The second

What the second means.

| detector | ms  |
| -------- | --- |
| second   | 1.5 |
"""


def test_the_whole_report(report, fake, capsys):
    fake.missing["first"] = [NO_ROI_ALIGN]
    made = report()
    assert made.measure(["first", "second"]) == []
    assert (made.folder / "report.md").read_text() == WHOLE
    content = json.loads((made.folder / "report.json").read_text())
    assert content["machine"] == MACHINE and content["settings"]["size"] == [800, 1333]
    assert content["parts"]["second"]["result"]["figures"] == [1.5]
    assert content["parts"]["second"]["seconds"] >= 0
    # Each part is told as soon as it is there.
    assert capsys.readouterr().out.count("## The") == 2


def test_a_cut_run_keeps_what_it_has_and_the_same_command_goes_on(report, fake):
    fake.errors["second"] = KeyboardInterrupt()
    made = report()
    with pytest.raises(KeyboardInterrupt):
        made.measure(["first", "second"])
    text = (made.folder / "report.md").read_text()
    assert "## The first" in text and "## The second" not in text
    assert "Not measured yet: second. The same command measures them." in text
    fake.errors.clear()
    fake.missing["first"] = [WRONG]  # which would be seen if it ran
    assert report().measure(["first", "second"]) == []
    assert fake.log == ["first", "second", "second"]
    assert (made.folder / "report.md").read_text() == WHOLE.replace(
        "- Mask R-CNN: not measured: NotImplementedError: RoIAlign.\n\n", ""
    )


def test_parts_are_in_the_reports_order_whenever_they_were_measured(report, fake):
    fake.missing["first"] = [NO_ROI_ALIGN]
    report().measure(["second"])
    report().measure(["first"])
    assert fake.log == ["second", "first"]
    assert (report().folder / "report.md").read_text() == WHOLE


def test_what_failed_is_measured_again_and_what_cannot_run_is_not(report, fake):
    fake.missing = dict(first=[NO_ROI_ALIGN], second=[NO_ROI_ALIGN, WRONG])
    assert report().measure(["first", "second"]) == [WRONG]
    text = (report().folder / "report.md").read_text()
    assert text.endswith(
        "- Mask R-CNN: not measured: NotImplementedError: RoIAlign.\n"
        "- SOLOv2: not measured: ValueError: odd\n"
    )
    fake.missing["second"] = []
    assert report().measure(["first", "second"]) == []
    assert fake.log == ["first", "second", "second"]


def test_a_part_that_fails_as_a_whole_does_not_stop_the_others(report, fake, capsys):
    fake.errors["first"] = ZeroDivisionError("by zero\nand more")
    (failure,) = report().measure(["first", "second"])
    assert failure == NotMeasured(WHOLE_PART, "ZeroDivisionError: by zero", expected=False)
    text = (report().folder / "report.md").read_text()
    assert f"## The first\n\n- {WHOLE_PART}: not measured: ZeroDivisionError: by zero\n" in text
    assert "## The second" in text
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("machine", "setup", "difference"),
    [
        (MACHINE | {"torch": "2.11.0"}, SETUP, "torch was 2.13.0 and is 2.11.0"),
        (MACHINE | {"CUDA": "13.0"}, SETUP, "CUDA was not there and is 13.0"),
        (MACHINE, replace(SETUP, scale=replace(FULL, runs=3)), "runs was 20 and is 3"),
    ],
)
def test_figures_of_another_machine_or_size_are_not_mixed(report, machine, setup, difference):
    report().measure(["first"])
    before = (report().folder / "report.json").read_bytes()
    with pytest.raises(ValueError) as error:
        report(machine, setup)
    assert str(error.value).endswith(
        f"({difference}): take another --out, or remove that folder"
    ) and "holds a report with which no other figures can be mixed" in str(error.value)
    assert (report().folder / "report.json").read_bytes() == before


@pytest.mark.parametrize("content", ["{", "[]", '{"parts": {"first": 1}}', '{"parts": {}}'])
def test_a_file_that_is_no_report_is_refused(report, content):
    made = report()
    made.write()
    (made.folder / "report.json").write_text(content)
    with pytest.raises(ValueError, match=r"report.json is not a report .*: take another --out"):
        report()


def test_small_figures_and_those_of_a_cpu_say_so(report):
    small = replace(SETUP, scale=SMALL, device="cpu")
    text = report(setup=small).text()
    assert (
        SMALL_IN_WORDS in text and "Measured on a CPU: these figures say nothing of a GPU" in text
    )
    assert SMALL_IN_WORDS not in report().text() and "CPU:" not in report().text()


def test_the_words_about_small_ones_are_true():
    for word in (
        "{} x {} instead of {} x {}".format(*SMALL.size, *FULL.size),
        f"{SMALL.instances} instances instead of {FULL.instances}",
        "{} and {} images at once instead of {} and {}".format(*SMALL.batches, *FULL.batches),
        f"{SMALL.runs} runs after {SMALL.warmup} instead of {FULL.runs} after {FULL.warmup}",
    ):
        assert word in SMALL_IN_WORDS


def inference(**times):
    return PartResult(
        [],
        [
            dict(name=name.replace("_", " "), total_ms=dict(p50=time), synchronisations=int(time))
            for name, time in times.items()
        ],
    )


def test_the_summary_tells_ratios_and_aims():
    masks = [
        dict(name=FLOOR, area=0.04, times_ms=[0.1, 0.3, 0.2]),
        dict(name="EmbedMask", area=0.04, times_ms=[0.6, 0.5]),
        dict(name="CondInst", area=0.04, times_ms=[2.0]),
    ]
    training = [dict(name=name, seconds=[s]) for name, s in (("EmbedMask", 0.2), ("CondInst", 0.4))]
    table = summary_of(
        {
            "inference": inference(FCOS=20.0, EmbedMask=23.0, EmbedMask_fused=22.0, CondInst=30.0),
            "batch": inference(EmbedMask=23.0),
            "masks": PartResult([], masks),
            "training": PartResult([], training),
        }
    )
    assert table.header == ["", "EmbedMask", "EmbedMask fused", "CondInst", "aim of EmbedMask"]
    assert table.rows == [
        ["Inference, one image, float32, of FCOS", "1.15", "1.10", "1.50", "at most 1.15"],
        ["Inference, several images at once, float32, of FCOS", "", "", "", ""],
        ["Waits of the host, one image", "23", "22", "30", ""],
        ["Mask stage beyond writing, objects of 4% (ms)", "0.35", "", "1.80", "at most 0.5"],
        ["Training, float32, of CondInst", "0.50", "", "1.00", ""],
    ]


def test_the_summary_leaves_out_what_was_not_measured():
    assert summary_of({}).rows == []
    assert summary_of({"masks": PartResult([], None), "training": PartResult([], None)}).rows == [
        ["Training, float32, of CondInst", "", "", "", ""]
    ]
