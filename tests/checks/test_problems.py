from mmdet_embedmask.checks.problems import Problem, ProblemCollector, merge_problems, tolerate


def problem(kind, is_error):
    return Problem(kind, is_error, 1, ("here",))


def test_what_is_tolerated_is_a_warning_behind_the_errors():
    found = [problem("a", True), problem("b", True), problem("c", False)]
    expected = [problem("b", True), problem("a", False), problem("c", False)]
    assert tolerate(found, ["a", "c"]) == expected


def test_parts_merged_are_the_whole():
    whole, parts = ProblemCollector(), [ProblemCollector() for _ in range(3)]
    for number, part in enumerate([0, 0, 0, 0, 1, 1, 1, 2]):
        for found in (whole, parts[part]):
            found.warning("b", f"b{number}")
            if number > 5:
                found.error("b", f"e{number}")
    expected = [
        Problem("b", True, 2, ("e6", "e7")),
        Problem("b", False, 8, ("b0", "b1", "b2", "b3", "b4")),
    ]
    assert whole.problems() == expected
    assert merge_problems([part.problems() for part in parts]) == expected
    assert merge_problems([]) == []
