from mmdet_embedmask.benchmark.mask_stage import FLOOR
from mmdet_embedmask.benchmark.report_parts import PartResult
from mmdet_embedmask.benchmark.report_summary import summary


def inference(**times):
    return PartResult(
        [],
        [
            dict(name=name.replace("_", " "), total_ms=dict(p50=time), synchronisations=int(time))
            for name, time in times.items()
        ],
    )


def test_a_report_in_a_few_lines():
    masks = [
        dict(name=FLOOR, area=0.04, times_ms=[0.1, 0.3, 0.2]),
        dict(name="EmbedMask", area=0.04, times_ms=[0.6, 0.5]),
        dict(name="CondInst", area=0.04, times_ms=[2.0]),
    ]
    training = [dict(name=name, seconds=[s]) for name, s in (("EmbedMask", 0.2), ("CondInst", 0.4))]
    table = summary(
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


def test_what_was_not_measured_is_left_out():
    assert summary({}).rows == []
    assert summary({"masks": PartResult([], None), "training": PartResult([], None)}).rows == [
        ["Training, float32, of CondInst", "", "", "", ""]
    ]
