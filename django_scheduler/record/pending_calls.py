"""Look whether the code can still call what is pending. A deploy has to know that before the old code is gone.

The rows come in pages, in the order of their ids, so that memory does not grow with them, and what was found is
grouped: a problem that a million functions have in common is one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from django.db.models import QuerySet

from django_scheduler import values
from django_scheduler.errors import FunctionNotFound, InvalidArguments
from django_scheduler.functions import AnyFunction, registry, resolve_to_schedule
from django_scheduler.models import IS_UNFINISHED, Batch, Kind, ScheduledFunction, State
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
    #: What the ids are those of.
    what: str
    count: int = 0
    examples: list[int] = field(default_factory=list)

    def add(self, function_id: int) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(function_id)

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.examples) else ""
        return f"{one_line(self.reason)}\n  {self.count:,} {self.what}: {', '.join(map(str, self.examples))}{more}"


@dataclass(slots=True)
class Findings:
    """Says what was looked at, and what is wrong with it."""

    what: str = "pending"
    looked_at: int = 0
    problems: dict[str, Problem] = field(default_factory=dict)
    others: Problem = field(init=False)

    def __post_init__(self) -> None:
        self.others = Problem("Other problems, too many to tell them apart.", self.what)

    @property
    def wrong_count(self) -> int:
        """Return how many cannot be called."""
        return sum(problem.count for problem in self.listed())

    def add(self, function_id: int, reason: str) -> None:
        if reason not in self.problems and len(self.problems) == MOST_PROBLEMS:
            self.others.add(function_id)
        else:
            self.problems.setdefault(reason, Problem(reason, self.what)).add(function_id)

    def listed(self) -> list[Problem]:
        """Return the problems, ordered by their text; those too many to tell apart come last."""
        in_order = [self.problems[reason] for reason in sorted(self.problems)]
        return [*in_order, self.others] if self.others.count else in_order


def check_pending_calls(using: str) -> Findings:
    """Look at everything that is pending in a database, and return what cannot be called."""
    findings, calls = Findings(), CallCheck()
    pending = ScheduledFunction.objects.using(using).filter(state=State.PENDING)
    for function_id, name, args in _in_pages(pending, "name", "args"):
        findings.looked_at += 1
        if reason := calls.what_is_wrong(name, args):
            findings.add(function_id, reason)
    return findings


def check_callbacks(using: str) -> tuple[Findings, Findings]:
    """Look at the callbacks of all that has not ended, and return what of functions and of batches cannot be called."""
    calls = CallCheck()
    unfinished = ScheduledFunction.objects.using(using).filter(IS_UNFINISHED)
    of_functions, of_batches = Findings("to be called after the functions"), Findings("to be called after the batches")
    for findings, rows in (
        (of_functions, unfinished),
        (of_batches, Batch.objects.using(using).filter(completed_time__isnull=True)),
    ):
        for pk, callbacks in _in_pages(rows.filter(callbacks__isnull=False), "callbacks"):
            for callback in callbacks:
                findings.looked_at += 1
                if reason := calls.what_is_wrong(callback["name"], {**callback["args"], "outcome": None}):
                    findings.add(pk, f"The callback {callback['name']!r}: {reason}")
    return of_functions, of_batches


class CallCheck:
    """Says whether this code can call a function with arguments that are on record, and remembers what it has found."""

    def __init__(self) -> None:
        self._find = cache(_find)
        self._what_is_wrong_for_all = lru_cache(maxsize=10_000)(_what_is_wrong)

    def what_is_wrong(self, name: str, args: dict[str, object]) -> str | None:
        """Return why it cannot be called, or ``None`` if it can."""
        function = self._find(name)
        if isinstance(function, str):
            return function
        return (
            _what_is_wrong(values.load_arguments, name, args)
            or self._what_is_wrong_for_all(function.bind_names, tuple(args))
            # One of Django's tasks: its own arguments are within the ones on record.
            or (None if registry.find(function.name) else _what_is_wrong(function.bind, (), args))
        )


def _in_pages(rows: QuerySet[Any], *columns: str) -> Iterator[Any]:
    """Yield the id and these columns of each row, in the order of the ids."""
    last = 0
    while page := list(rows.order_by("pk").filter(pk__gt=last).values_list("pk", *columns)[:ROWS_PER_PAGE]):
        yield from page
        last = page[-1][0]


def _find(name: str) -> AnyFunction | str:
    try:
        if registry.find(name):
            return resolve_to_schedule(name)
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
