"""Look whether the code can still call what is pending. A deploy has to know that before the old code is gone.

The rows come in pages, in the order of their ids, so that memory does not grow with them, and what was found is
grouped: a problem that a million functions have in common is one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache

from django_scheduler import values
from django_scheduler.errors import FunctionNotFound, InvalidArguments
from django_scheduler.functions import AnyFunction, registry
from django_scheduler.models import Kind, ScheduledFunction, State
from django_scheduler.telemetry import one_line

ROWS_PER_PAGE = 2_000

#: How many ids are given of the functions that share a problem.
EXAMPLES = 5

#: How many problems are told apart; what is beyond is only counted.
MOST_PROBLEMS = 100


@dataclass(slots=True)
class Problem:
    """Says why some functions cannot be called, how many they are, and the first of them."""

    reason: str
    count: int = 0
    examples: list[int] = field(default_factory=list)

    def add(self, function_id: int) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(function_id)

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.examples) else ""
        return f"{one_line(self.reason)}\n  {self.count:,} pending: {', '.join(map(str, self.examples))}{more}"


@dataclass(slots=True)
class Findings:
    """Says what was looked at, and what is wrong with it."""

    looked_at: int = 0
    problems: dict[str, Problem] = field(default_factory=dict)
    others: Problem = field(default_factory=lambda: Problem("Other problems, too many to tell them apart."))

    @property
    def wrong_count(self) -> int:
        """Return how many cannot be called."""
        return sum(problem.count for problem in self.listed())

    def add(self, function_id: int, reason: str) -> None:
        if reason not in self.problems and len(self.problems) == MOST_PROBLEMS:
            self.others.add(function_id)
        else:
            self.problems.setdefault(reason, Problem(reason)).add(function_id)

    def listed(self) -> list[Problem]:
        """Return the problems, ordered by their text; those too many to tell apart come last."""
        in_order = [self.problems[reason] for reason in sorted(self.problems)]
        return [*in_order, self.others] if self.others.count else in_order


def check_pending_calls(using: str) -> Findings:
    """Look at everything that is pending in a database, and return what cannot be called."""
    findings = Findings()
    find, what_is_wrong_for_all = cache(_find), lru_cache(maxsize=10_000)(_what_is_wrong)
    for function_id, name, args in _pending(using):
        findings.looked_at += 1
        function = find(name)
        if isinstance(function, str):
            findings.add(function_id, function)
        elif reason := (
            _what_is_wrong(values.load_arguments, name, args)
            or what_is_wrong_for_all(function.bind_names, tuple(args))
            # One of Django's tasks: its own arguments are within the ones on record.
            or (registry.find(function.name) is None and _what_is_wrong(function.bind, (), args))
        ):
            findings.add(function_id, reason)
    return findings


def _pending(using: str) -> Iterator[tuple[int, str, dict[str, object]]]:
    pending = ScheduledFunction.objects.using(using).filter(state=State.PENDING).order_by("pk")
    last = 0
    while page := list(pending.filter(pk__gt=last).values_list("pk", "name", "args")[:ROWS_PER_PAGE]):
        yield from page
        last = page[-1][0]


def _find(name: str) -> AnyFunction | str:
    try:
        # The kind counts only for tasks, and not for their arguments.
        return registry.find_recorded(name, Kind.ACTION) or registry.get(name)
    except FunctionNotFound as error:
        return str(error)


def _what_is_wrong(check: Callable[..., object], *arguments: object) -> str | None:
    """Return why the check raises ``InvalidArguments``, if it does."""
    try:
        check(*arguments)
    except InvalidArguments as error:
        return str(error)
    return None
