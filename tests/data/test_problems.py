from mmdet_embedmask.data.problems import Problem, tolerate


def problem(kind, is_error):
    return Problem(kind, is_error, 1, ("here",))


def test_what_is_tolerated_is_a_warning_behind_the_errors():
    found = [problem("a", True), problem("b", True), problem("c", False)]
    expected = [problem("b", True), problem("a", False), problem("c", False)]
    assert tolerate(found, ["a", "c"]) == expected
