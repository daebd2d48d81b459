import pytest
import torch

from mmdet_embedmask.benchmark.turns import Attempts, NotMeasured, take_turns
from mmdet_embedmask.compat.plain_ops import COMPILED_MMCV_CURE


def counting(log, name, fails_at=None, error=None):
    def run():
        log.append(name)
        if log.count(name) == fails_at:
            raise error
        return log.count(name)

    return run


def test_steps_run_in_turns_and_the_first_runs_are_not_kept():
    log = []
    steps = dict(a=counting(log, "a"), b=counting(log, "b"))
    assert take_turns(steps, 2, warmup=1) == dict(a=[2, 3], b=[2, 3])
    assert "".join(log) == "ababab"


def test_a_step_that_fails_is_left_out_and_the_others_go_on(capsys):
    log, attempts = [], Attempts()
    steps = dict(
        a=counting(log, "a"),
        b=counting(log, "b", 2, ValueError("b is odd\nand more")),
        c=counting(log, "c", 1, torch.cuda.OutOfMemoryError("no room\nfor c")),
    )
    assert take_turns(steps, 3, warmup=1, attempts=attempts) == dict(a=[2, 3, 4])
    assert "".join(log) == "abcabaa"
    assert attempts.not_measured == [
        NotMeasured("c", "OutOfMemoryError: no room", expected=True),
        NotMeasured("b", "ValueError: b is odd", expected=False),
    ]
    # Nobody expected that of b.
    told = capsys.readouterr().err
    assert "b:\nTraceback" in told and "and more" in told and "no room" not in told


def test_without_attempts_an_error_is_raised():
    with pytest.raises(KeyError):
        take_turns(dict(a=counting([], "a", 1, KeyError("gone"))), 1, warmup=0)


@pytest.mark.parametrize(("runs", "warmup"), [(0, 1), (1, -1)])
def test_too_few_turns_are_refused(runs, warmup):
    with pytest.raises(ValueError, match=f"runs={runs} and warmup={warmup}: take at least"):
        take_turns({}, runs, warmup)


class CompilerError(Exception):
    """As torch's: what it is about stands in another error."""

    def __init__(self, inner):
        super().__init__("backend='inductor' raised:\n...")
        self.inner_exception = inner


@pytest.mark.parametrize(
    ("error", "reason", "expected"),
    [
        (
            NotImplementedError(f"RoIAlign needs torchvision. {COMPILED_MMCV_CURE}"),
            "NotImplementedError: RoIAlign needs torchvision.",
            True,
        ),
        (
            CompilerError(RuntimeError("No working C++ compiler found in g++\nadvice")),
            "RuntimeError: No working C++ compiler found in g++",
            True,
        ),
        (
            CompilerError(RuntimeError("Failed to find C compiler.")),
            "RuntimeError: Failed to find C compiler.",
            True,
        ),
        (
            RuntimeError("An exception occurred in a subprocess:\n\nE: Failed to find C compiler."),
            "RuntimeError: E: Failed to find C compiler.",
            True,
        ),
        (CompilerError(ValueError("wrong shape")), "ValueError: wrong shape", False),
        (NotImplementedError("not by us"), "NotImplementedError: not by us", False),
        (AssertionError(), "AssertionError", False),
    ],
)
def test_what_is_known_to_be_missing_is_told_from_what_is_wrong(error, reason, expected):
    attempts = Attempts()
    with attempts.attempt("it"):
        raise error
    assert attempts.not_measured == [NotMeasured("it", reason, expected)]
    assert attempts.has_failed("it") and not attempts.has_failed("other")


def test_an_interrupt_ends_everything():
    with pytest.raises(KeyboardInterrupt):
        with Attempts().attempt("it"):
            raise KeyboardInterrupt
