import pytest
from drawn import box_mask, objects

from mmdet_embedmask.evaluation.verdict import judge, rank

LEFT, RIGHT = box_mask(0, 0, 40, 40), box_mask(50, 0, 90, 40)
TOP_HALF, BOTTOM_HALF = box_mask(0, 0, 40, 19), box_mask(0, 19, 40, 38)
BOTH = box_mask(0, 0, 90, 40)


@pytest.mark.parametrize(
    ("truth", "prediction", "outcomes", "extra"),
    [
        ([LEFT, RIGHT], [RIGHT, LEFT], ("found", "found"), 0),
        ([LEFT, RIGHT], [LEFT], ("found", "missed"), 0),
        ([LEFT, RIGHT], [], ("missed", "missed"), 0),
        # 40 x 19 of 40 x 40 is an IoU below 0.5, twice.
        ([LEFT, RIGHT], [TOP_HALF, BOTTOM_HALF, RIGHT], ("split", "found"), 2),
        # A piece alone is no split, and pieces beside a good prediction are none.
        ([LEFT], [TOP_HALF], ("missed",), 1),
        ([LEFT], [TOP_HALF, BOTTOM_HALF, LEFT], ("found",), 2),
        # One prediction over both: 1600 of 3600 pixels each.
        ([LEFT, RIGHT], [BOTH], ("merged", "merged"), 1),
        ([LEFT, RIGHT], [BOTH, LEFT], ("found", "merged"), 1),
        ([], [LEFT], (), 1),
    ],
)
def test_outcomes_are_what_is_judged_by_hand(truth, prediction, outcomes, extra):
    verdict = judge(objects(*truth), objects(*prediction, scored=True))
    assert verdict.outcomes == outcomes and verdict.extra == extra
    assert verdict.lost == len(outcomes) - outcomes.count("found")


def test_a_prediction_of_another_class_finds_nothing():
    verdict = judge(objects(LEFT, labels=[0]), objects(LEFT, labels=[1], scored=True))
    assert verdict.outcomes == ("missed",) and verdict.mean_iou == 0


def test_numbers_are_plain_python():
    verdict = judge(objects(LEFT, RIGHT), objects(TOP_HALF, BOTTOM_HALF, scored=True))
    numbers = verdict.numbers()
    assert numbers["instances"] == 2 and numbers["lost"] == 2
    assert (numbers["found"], numbers["split"], numbers["merged"], numbers["missed"]) == (
        0,
        1,
        0,
        1,
    )
    assert numbers["ious"] == (0.475, 0.0) and numbers["mean_iou"] == 0.2375
    assert numbers["extra"] == 2


def test_lost_and_split_instances_rank_first_then_low_iou():
    truth = objects(LEFT, RIGHT)
    loose = box_mask(0, 0, 40, 30)
    predictions = [
        [LEFT, RIGHT],  # perfect
        [loose, RIGHT],  # found, but 0.75
        [TOP_HALF, BOTTOM_HALF],  # one split, one missed
        [LEFT],  # one missed
        [LEFT, TOP_HALF, BOTTOM_HALF, RIGHT],  # perfect, with two extra
        [loose],  # one missed, the other 0.75
    ]
    verdicts = [judge(truth, objects(*masks, scored=True)) for masks in predictions]
    verdicts.append(judge(objects(), objects(LEFT, scored=True)))
    assert rank(verdicts) == [2, 5, 3, 1, 4, 0, 6]
