"""A test may execute thousands of functions in one call: each takes the same few statements, in the order as ever."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_scheduler import crons, ctx
from tests.functions import note, write, write_then_schedule
from tests.testing import functions
from tests.testing.functions import labels

IS_SQLITE = connection.vendor == "sqlite"
IS_POSTGRESQL = connection.vendor == "postgresql"

#: The claim, what the body writes, and the success. On SQLite, Django's check of constraints is a statement. On MySQL,
#: two show whether it is still the same transaction.
PER_MUTATION = 3 + IS_SQLITE + 2 * (connection.vendor == "mysql")

#: The same; that it has begun is a statement besides.
PER_ACTION = 4 + IS_SQLITE

#: To insert it, to wake executors, where that is a statement, and to look for what is new.
PER_SCHEDULED_FUNCTION = 2 + IS_POSTGRESQL


#: How many runs are compared.
NUMBERS = (4, 8, 16)


def statements_per_run(schedule: Callable[[int], object], execute: Callable[[], Sequence[object]]) -> float:
    """Return how many statements each run takes; twice as many runs must take twice as many statements."""
    taken = []
    for number in NUMBERS:
        schedule(number)
        with CaptureQueriesContext(connection) as captured:
            assert len(execute()) == number
        taken.append(len(captured))
    few, more, most = taken
    assert most - more == 2 * (more - few)
    return (more - few) / NUMBERS[0]


def of(function) -> Callable[[int], object]:
    return lambda number: ctx.scheduler.run_after_many(0, function, [{"label": str(each)} for each in range(number)])


@pytest.mark.parametrize(("function", "statements"), [(write, PER_MUTATION), (note, PER_ACTION)])
@pytest.mark.parametrize("method", ["run_due", "run_all", "advance"])
def test_each_function_that_is_due_takes_the_same_statements(scheduler, method, function, statements):
    assert statements_per_run(of(function), getattr(scheduler, method)) == statements


def test_each_function_that_becomes_due_takes_one_statement_more(scheduler):
    def schedule(number: int) -> None:
        for hour in range(1, number + 1):
            ctx.scheduler.run_after(timedelta(hours=hour), write, label=str(hour))

    # Before the clock is moved, it asks whether the function is still pending, and whether there is anything new.
    assert statements_per_run(schedule, scheduler.run_all) == PER_MUTATION + 1
    assert statements_per_run(schedule, lambda: scheduler.advance(hours=50)) == PER_MUTATION + 1


def test_each_function_that_others_schedule_takes_the_same_statements(scheduler):
    def schedule(number: int) -> None:
        of(write_then_schedule)(number // 2)

    assert statements_per_run(schedule, scheduler.run_all) * 2 == 2 * PER_MUTATION + PER_SCHEDULED_FUNCTION


def test_each_run_of_a_cron_takes_the_same_statements(scheduler):
    crons.register("tick", crons.Interval(minutes=1), write, label="x")
    scheduler.advance()

    minutes = iter(NUMBERS)
    per_run = statements_per_run(lambda number: None, lambda: scheduler.advance(minutes=next(minutes)))

    # Seven fire it and settle its last run, and three look for the next slot, for what was scheduled, and for the time.
    assert per_run == PER_MUTATION + 10 + IS_SQLITE + IS_POSTGRESQL


def test_what_a_function_schedules_with_priority_is_next(scheduler):
    of(functions.schedule_first)(2)
    scheduler.run_all()

    assert labels() == ["0", "0: priority", "1", "1: priority"]


def test_what_a_function_moves_to_now_runs_at_once(scheduler):
    start = timezone.now()
    moved = ctx.scheduler.run_after(timedelta(days=1), functions.write_first, label="moved")
    ctx.scheduler.run_after(0, functions.move_other, function_id=moved, hours=0)
    ctx.scheduler.run_after(0, write, label="due")
    scheduler.run_all()

    assert labels() == ["moved", "due"]
    assert timezone.now() == start


def test_what_a_function_moves_to_later_runs_then(scheduler):
    start = timezone.now()
    moved = ctx.scheduler.run_after(timedelta(hours=1), write, label="moved")
    ctx.scheduler.run_after(0, functions.move_other, function_id=moved, hours=3)
    scheduler.run_all()

    assert labels() == ["moved"]
    assert timezone.now() == start + timedelta(hours=3)


def test_the_clock_is_not_moved_to_where_a_canceled_function_was(scheduler):
    start = timezone.now()
    canceled = ctx.scheduler.run_after(timedelta(hours=1), write, label="canceled")
    ctx.scheduler.run_after(0, functions.cancel_other, function_id=canceled)
    scheduler.run_all()

    assert labels() == []
    assert timezone.now() == start
