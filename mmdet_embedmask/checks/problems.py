"""What is wrong with a data set, gathered so that one message tells all of it."""

import reprlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

MAX_EXAMPLES = 5
"""Places that a message names of each kind of problem."""


@dataclass(frozen=True)
class Problem:
    """One kind of problem.

    Attributes:
        kind: cause and cure.
        is_error: whether nothing can be learned or measured before it is cured; if not, the data
            are used in the way that ``kind`` says.
        count: how often it occurs.
        examples: the first places, at most MAX_EXAMPLES.
    """

    kind: str
    is_error: bool
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        """Severity, kind, count and places, on one line."""
        shown = "; ".join(self.examples)
        more = f" and {self.count - len(self.examples)} more" * (self.count > len(self.examples))
        return f"{'error' if self.is_error else 'warning'}: {self.kind} [{shown}{more}]"


class ProblemCollector:
    """Gathers problems by kind, in the order of their first occurrence."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, bool], Problem] = {}

    def error(self, kind: str, where: str) -> None:
        """Add something that must be cured."""
        self.add(Problem(kind, True, 1, (where,)))

    def warning(self, kind: str, where: str) -> None:
        """Add something that the user should know."""
        self.add(Problem(kind, False, 1, (where,)))

    def add(self, problem: Problem) -> None:
        """Add what was found before."""
        key = problem.kind, problem.is_error
        first = self._found.get(key, Problem(*key, 0, ()))
        examples = (*first.examples, *problem.examples)[:MAX_EXAMPLES]
        self._found[key] = Problem(*key, first.count + problem.count, examples)

    def problems(self) -> list[Problem]:
        """All kinds, errors first."""
        return tolerate(list(self._found.values()), ())


def merge_problems(parts: Sequence[Sequence[Problem]]) -> list[Problem]:
    """The problems of a data set whose parts were checked apart, as if it had been in one go."""
    found = ProblemCollector()
    for problem in chain.from_iterable(parts):
        found.add(problem)
    return found.problems()


def tolerate(problems: Sequence[Problem], kinds: Collection[str]) -> list[Problem]:
    """The same problems, errors first; errors of these kinds become warnings."""
    found = [replace(p, is_error=p.is_error and p.kind not in kinds) for p in problems]
    return sorted(found, key=lambda problem: not problem.is_error)


def has_errors(problems: Sequence[Problem]) -> bool:
    """Whether something must be cured."""
    return any(problem.is_error for problem in problems)


def raise_errors(problems: Sequence[Problem], name: str) -> None:
    """Raise one error for all problems that are errors, if there is one.

    Args:
        problems: of one data set.
        name: how the message calls the data set, with its file.

    Raises:
        ValueError: naming every kind of problem, its count and first places.
    """
    # With the warnings: what was left out may be why nothing is left.
    lines = [f"- {problem}" for problem in problems]
    if has_errors(problems):
        raise ValueError(f"{name} cannot be used:\n" + "\n".join(lines))


def shown(value: Any) -> str:
    """A value as messages show it, cut if it is long."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python refuses to write out a number of thousands of digits.
        return "a huge number"
