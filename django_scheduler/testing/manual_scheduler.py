"""``ManualScheduler`` executes functions when a test says so; ``SchedulerTestMixin`` gives it to a test case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from django.db import router
from django.db.models import QuerySet
from django.utils import timezone

from django_scheduler.databases import database_for, pythons_clock, require_alias
from django_scheduler.errors import SchedulerError
from django_scheduler.functions import AnyReference, resolve
from django_scheduler.models import ScheduledFunction, State
from django_scheduler.suggestions import which_there_are
from django_scheduler.testing import clock
from django_scheduler.testing.agenda import Agenda
from django_scheduler.testing.crons import MOST_SLOTS, CronsOfTest
from django_scheduler.testing.execution import execute
from django_scheduler.testing.expectation import Expectation, listing, refuse_ambiguous_options
from django_scheduler.times import parse_delay, parse_for, parse_time
from django_scheduler.values import short_repr

#: What a timedelta is made of.
UNITS = ("microseconds", "milliseconds", "seconds", "minutes", "hours", "days", "weeks")

CRONS_HINT = "Advance by less, or switch crons off in tests: DJANGO_SCHEDULER['CRONS'] = False."


class TooManyRuns(AssertionError):
    """More functions were executed than ``max_runs``: they keep scheduling more, or keep being repeated."""


class ManualScheduler:
    """Executes functions when the test says so: in this thread, on its connection, one after the other.

    Within its ``with`` block time stands still, unless freezegun or time-machine is active, and ``timezone.now()``
    decides what is due. It executes in the database that functions are scheduled in by default, or in ``using``.

    Its methods that execute return what they executed, as it is on record then, in order. What a function or an
    ``on_commit`` hook of its transaction raises is raised when all have been executed: as it is or, if there are
    several errors, in an ``ExceptionGroup``. With ``raise_failures=False`` it is not raised, but it is on record.

    Example::

        with ManualScheduler() as scheduler:
            place_order()
            scheduler.advance(days=7)
    """

    def __init__(self, *, using: str | None = None) -> None:
        if using is not None:
            require_alias(using)
        self._using = using
        self._within = ExitStack()

    def __enter__(self) -> Self:
        self._within.enter_context(pythons_clock())
        self._within.enter_context(clock.standing_still())
        return self

    def __exit__(self, *error: object) -> None:
        self._within.close()

    def using(self, alias: str) -> ManualScheduler:
        """Return a scheduler for another database."""
        return ManualScheduler(using=alias)

    # Executing

    def run_due(self, *, raise_failures: bool = True) -> list[ScheduledFunction]:
        """Execute what is due now, but not what that schedules."""
        run = _Run(self._alias)
        for function_id in list(self._due().order_by("-priority", "due_time", "id").values_list("pk", flat=True)):
            run.execute(function_id)
        return run.end(raise_failures=raise_failures)

    def run_all(self, *, max_runs: int = 100, raise_failures: bool = True) -> list[ScheduledFunction]:
        """Execute everything, and what that schedules, until nothing is pending.

        The clock is moved to each next due time. Raises ``TooManyRuns`` if that takes more than ``max_runs``.
        """
        return self._run_until(None, max_runs, raise_failures=raise_failures)

    def advance(
        self, duration: timedelta = timedelta(0), /, *, max_runs: int = 100, raise_failures: bool = True, **units: float
    ) -> list[ScheduledFunction]:
        """Let time pass, and execute what becomes due on the way, each at its own time. Crons fire, too.

        The duration is a ``timedelta``, or what makes one: ``advance(hours=2)``. Raises ``TooManyRuns`` if more
        than ``max_runs`` become due, of which the runs of crons are none.
        """
        duration = _duration(duration, units)
        if duration < timedelta(0):
            raise ValueError(f"advance() moves time forward, and {duration} is negative.")
        return self._run_until(timezone.now() + duration, max_runs, raise_failures=raise_failures)

    # Looking

    def scheduled(self, function: AnyReference | None = None) -> list[ScheduledFunction]:
        """Return what is pending, or what is pending of one function, in the order in which it becomes due."""
        rows = self._pending().order_by("due_time", "id")
        return list(rows if function is None else rows.filter(name__in=resolve(function).names))

    def assert_scheduled(
        self,
        function: AnyReference,
        /,
        *,
        at: datetime | float | None = None,
        after: timedelta | float | None = None,
        times: int | None = None,
        **args: object,
    ) -> list[ScheduledFunction]:
        """Assert that a function is pending, and return the rows that match.

        ``at``: for that time, as for ``run_at``, or moved to it since. ``after``: with that delay, as for
        ``run_after``, from when it was first scheduled. ``times``: so many times; default: at least once. ``args``:
        with these arguments, whatever the others are.

        Raises ``InvalidArguments`` for an argument that the function does not have, and for an option that is also
        the name of a parameter that it has.
        """
        if times is not None:
            _require_number("assert_scheduled(times=)", times)
        target = resolve(function)
        refuse_ambiguous_options(target, {"at": at, "after": after, "times": times})
        expected = Expectation(
            function=target,
            arguments=args,
            at=None if at is None else parse_for(f"assert_scheduled({target.name}, at=):", parse_time, at),
            after=None if after is None else parse_for(f"assert_scheduled({target.name}, after=):", parse_delay, after),
        )
        rows = self.scheduled()
        met = [row for row in rows if expected.is_met_by(row)]
        if times is None and not met:
            raise AssertionError(f"{expected} is not scheduled. {listing(rows)}")
        if times is not None and len(met) != times:
            raise AssertionError(f"{expected} is scheduled {len(met)} times, not {times}. {listing(rows)}")
        return met

    def assert_nothing_scheduled(self, function: AnyReference | None = None) -> None:
        """Assert that nothing is pending, or nothing of one function."""
        if rows := self.scheduled(function):
            raise AssertionError(f"{len(rows)} functions are scheduled, and there should be none. {listing(rows)}")

    @property
    def _alias(self) -> str:
        return self._using or router.db_for_write(ScheduledFunction)

    def _pending(self) -> QuerySet[ScheduledFunction]:
        return ScheduledFunction.objects.using(self._alias).filter(state=State.PENDING)

    def _due(self) -> QuerySet[ScheduledFunction]:
        return self._pending().filter(due_time__lte=timezone.now())

    def _run_until(self, end: datetime | None, max_runs: int, *, raise_failures: bool) -> list[ScheduledFunction]:
        """Execute what becomes due until a time, and fire crons; or execute until nothing is pending.

        Crons, which never end, fire only until a time.
        """
        _require_number("max_runs=", max_runs)
        run, agenda = _Run(self._alias), Agenda(self._alias)
        with agenda.followed():
            crons = CronsOfTest(database_for(self._alias), agenda) if end is not None else None
            while True:
                if crons is not None:
                    run.add_problems(crons.fire_due())
                    if crons.fired > MOST_SLOTS:
                        raise TooManyRuns(f"Crons have come up {crons.fired:,} times. {CRONS_HINT}")
                if (function_id := agenda.pop_due()) is None:
                    if not _move_to_next(end, agenda, crons):
                        break
                elif len(run) == max_runs + (crons.fired if crons else 0):
                    if (function := self._due().filter(pk=function_id).first()) is not None:
                        raise TooManyRuns(run.explanation(function))
                else:
                    if not run.execute(function_id):
                        agenda.look_again_at(function_id)
                    if crons is not None:
                        crons.retry_waiting()
            if crons is not None:
                crons.settle()
        return run.end(raise_failures=raise_failures)


def _duration(duration: object, units: Mapping[str, float]) -> timedelta:
    """Return how far ``advance`` is to go. Raise ``TypeError``, as a ``timedelta`` does, for what is no duration."""
    if not isinstance(duration, timedelta):
        raise TypeError(
            f"advance() takes a timedelta, or what makes one, as in advance(hours=2), not {short_repr(duration)}."
        )
    for unit, number in units.items():
        if unit not in UNITS:
            raise TypeError(f"advance() has no unit {unit!r}. {which_there_are(unit, UNITS)}")
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise TypeError(f"advance({unit}=) is a number, not {short_repr(number)}.")
    return duration + timedelta(**units)


def _require_number(what: str, number: object) -> None:
    """Raise ``TypeError`` or ``ValueError`` for what cannot be a number of functions."""
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{what} is a whole number, not {short_repr(number)}.")
    if number < 0:
        raise ValueError(f"{what} is a number of functions, and {number} is negative.")


def _move_to_next(end: datetime | None, agenda: Agenda, crons: CronsOfTest | None) -> bool:
    """Move the clock to when something becomes due, or else to the end; return whether something does."""
    times = [time for time in (agenda.next_time(), crons.next_time() if crons else None) if time is not None]
    next_time = min(times, default=None)
    if next_time is None or (end is not None and next_time > end):
        if end is not None:
            _move_to(end)
        return False
    _move_to(next_time)
    return True


class _Run:
    """Collects what one call executes, and the errors."""

    def __init__(self, using: str) -> None:
        self._database = database_for(using)
        self._ids: list[int] = []
        self._problems: list[BaseException] = []

    def __len__(self) -> int:
        return len(self._ids)

    def add_problems(self, problems: Iterable[BaseException]) -> None:
        """Raise these too at the end."""
        self._problems += problems

    def execute(self, function_id: int) -> bool:
        """Execute a function if it is due, and return whether it has ended."""
        execution = execute(self._database, function_id)
        if execution is None:
            return False  # it was canceled by what was executed before it
        self._ids.append(function_id)
        self._problems += execution.problems
        for problem in execution.problems:
            if isinstance(problem, KeyboardInterrupt):
                raise problem
        return execution.has_ended

    def end(self, *, raise_failures: bool) -> list[ScheduledFunction]:
        if raise_failures and self._problems:
            first, *others = self._problems
            raise BaseExceptionGroup("scheduled functions have failed", self._problems) if others else first
        rows = self._rows()
        return [rows[function_id] for function_id in self._ids if function_id in rows]

    def explanation(self, pending: ScheduledFunction) -> str:
        """Return the message of ``TooManyRuns``."""
        message = f"{len(self._ids)} functions have run, and {pending} is next. "
        if pending.attempts:
            return f"{message}{pending.name} is repeated again and again: {pending.error}"
        counts = Counter(row.name for row in self._rows().values())
        chain = self._chain(pending)
        if len(chain) > 1:
            message += f"{chain[0]} keeps scheduling itself: {' -> '.join(chain)}. "
        most = ", ".join(f"{name} {count} times" for name, count in counts.most_common(3))
        if most:
            message += f"They were {most}. "
        return f"{message}If this ends by itself, raise max_runs=."

    def _chain(self, pending: ScheduledFunction) -> list[str]:
        """Return the names from a function to itself, each scheduled by the one before; or only its name."""
        rows = ScheduledFunction.objects.using(self._database.using).values_list("name", "parent_id")
        names: list[str] = []
        function_id: int | None = pending.pk
        while function_id is not None and (row := rows.filter(pk=function_id).first()) is not None:
            name, function_id = row
            if name in names:
                return [name, *reversed(names[names.index(name) :])]
            names.append(name)
        return names[:1]

    def _rows(self) -> dict[int, ScheduledFunction]:
        return ScheduledFunction.objects.using(self._database.using).in_bulk(self._ids)


def _move_to(time: datetime) -> None:
    clock.move(max(time - timezone.now(), timedelta(0)))


if TYPE_CHECKING:
    from unittest import TestCase as Base
else:
    Base = object


class SchedulerTestMixin(Base):
    """Gives every test a ``ManualScheduler``, as ``self.scheduler``.

    Example::

        class OrderTests(SchedulerTestMixin, TestCase):
            def test_an_order_is_confirmed(self):
                place_order()
                self.scheduler.run_all()
    """

    _scheduler: ManualScheduler | None = None

    @property
    def scheduler(self) -> ManualScheduler:
        """Return the scheduler of this test. Raises ``SchedulerError`` before ``setUp`` has made it."""
        if self._scheduler is None:
            raise SchedulerError(
                f"{type(self).__qualname__} has no self.scheduler yet: SchedulerTestMixin.setUp makes it. Begin your"
                " own setUp with super().setUp(), and name SchedulerTestMixin before TestCase among the base classes."
            )
        return self._scheduler

    @scheduler.setter
    def scheduler(self, scheduler: ManualScheduler) -> None:
        self._scheduler = scheduler

    @classmethod
    def setUpClass(cls) -> None:
        cls.enterClassContext(pythons_clock())  # for what setUpTestData schedules
        super().setUpClass()

    def setUp(self) -> None:
        self.scheduler = self.enterContext(ManualScheduler())
        super().setUp()
