"""What is on record of a function that was just scheduled, and when it is due."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from freezegun import freeze_time

from django_scheduler import Context, ctx, mutation
from django_scheduler.errors import SchedulerError
from django_scheduler.models import ScheduledFunction
from tests.functions import note, write, write_with_priority
from tests.models import Entry

pytestmark = pytest.mark.django_db

#: For calls that a type checker would reject.
unchecked: Any = ctx

SECOND = timedelta(seconds=1)


def test_the_id_is_that_of_the_record():
    function_id = ctx.scheduler.run_after(0, write, label="a")
    row = ScheduledFunction.objects.get()
    assert row.pk == function_id
    assert type(function_id) is int


def test_everything_that_was_asked_for_is_on_record():
    ctx.scheduler.run_after(timedelta(days=7), write_with_priority, label="a")
    row = ScheduledFunction.objects.get()
    assert (row.name, row.kind, row.state) == ("tests:write_with_priority", "mutation", "pending")
    assert (row.queue, row.priority, row.decoded_args()) == ("email", 5, {"label": "a"})
    assert (row.attempts, row.result, row.failure, row.error, row.traceback, row.executor) == (0, None, "", "", "", "")
    assert (row.started_time, row.completed_time, row.parent_id) == (None, None, None)


def test_positional_arguments_are_stored_by_name():
    @mutation
    def double(ctx: Context, first: int, second: int = 5, *, third: int = 7) -> None: ...

    ctx.scheduler.run_after(0, double, 1, 2)
    assert ScheduledFunction.objects.get().args == {"first": 1, "second": 2}


def test_ids_ascend_in_the_order_of_scheduling():
    ids = [ctx.scheduler.run_after(1_000 - number, write, label="a") for number in range(20)]
    assert ids == sorted(set(ids))


def test_a_delay_counts_from_now_by_the_databases_clock():
    before = timezone.now() - 5 * SECOND
    ctx.scheduler.run_after(90_000, write, label="a")
    row = ScheduledFunction.objects.get()
    assert before <= row.creation_time <= timezone.now() + 5 * SECOND
    assert abs(row.scheduled_time - row.creation_time - 90 * SECOND) < SECOND
    assert row.due_time == row.scheduled_time


@pytest.mark.usefixtures("python_clock")
@pytest.mark.parametrize("delay", [2_500, 2_500.0, timedelta(seconds=2.5)])
def test_milliseconds_and_timedelta_mean_the_same(delay):
    with freeze_time("2030-06-01 12:00"):
        ctx.scheduler.run_after(delay, write, label="a")
    row = ScheduledFunction.objects.get()
    assert row.creation_time == datetime(2030, 6, 1, 12, tzinfo=UTC)
    assert row.scheduled_time == row.due_time == datetime(2030, 6, 1, 12, 0, 2, 500_000, tzinfo=UTC)


@pytest.mark.usefixtures("python_clock")
@pytest.mark.parametrize("when", [1_906_545_601_250, datetime(2030, 6, 1, 12, 0, 1, 250_000, tzinfo=UTC)])
def test_a_time_to_come_is_when_it_is_due(when):
    with freeze_time("2030-06-01 12:00"):
        ctx.scheduler.run_at(when, write, label="a")
    row = ScheduledFunction.objects.get()
    assert row.scheduled_time == row.due_time == datetime(2030, 6, 1, 12, 0, 1, 250_000, tzinfo=UTC)


@pytest.mark.usefixtures("python_clock")
def test_a_time_in_the_past_is_kept_and_due_at_once():
    with freeze_time("2030-06-01 12:00"):
        ctx.scheduler.run_at(datetime(2029, 1, 1, tzinfo=UTC), write, label="a")
    row = ScheduledFunction.objects.get()
    assert row.scheduled_time == datetime(2029, 1, 1, tzinfo=UTC)
    assert row.due_time == datetime(2030, 6, 1, 12, tzinfo=UTC)


@pytest.mark.usefixtures("python_clock")
@pytest.mark.parametrize("delay", [timedelta(microseconds=1), timedelta(days=1829, hours=23, microseconds=999_999)])
def test_delays_keep_their_microseconds(delay):
    with freeze_time("2030-06-01 12:00:00.000001"):
        ctx.scheduler.run_after(delay, write, label="a")
    row = ScheduledFunction.objects.get()
    assert row.due_time - row.creation_time == delay


def test_a_refused_call_writes_nothing():
    calls: list[tuple[Any, Any, dict[str, object]]] = [
        (-1, write, {"label": "a"}),
        (float("nan"), write, {"label": "a"}),
        ("0", write, {"label": "a"}),
        (0, "tests:no_such_function", {}),
        (0, print, {}),
        (0, write, {}),
        (0, write, {"label": "a", "color": "red"}),
        (0, write, {"label": object()}),
    ]
    for delay, function, arguments in calls:
        with pytest.raises((SchedulerError, TypeError)):
            unchecked.scheduler.run_after(delay, function, **arguments)
    assert not ScheduledFunction.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_in_the_shell_each_call_takes_effect_at_once(capsys):
    call_command(
        "shell",
        verbosity=0,
        command=(
            "from django_scheduler import ctx\n"
            "from tests.functions import note\n"
            "ctx.scheduler.run_after(0, note, label='from the shell')\n"
            "print(ctx.run_mutation('tests:write', label='now'), ctx.function_id)"
        ),
    )
    assert ScheduledFunction.objects.get().decoded_args() == {"label": "from the shell"}
    assert capsys.readouterr().out.split() == [str(Entry.objects.get().pk), "None"]


@pytest.mark.django_db(transaction=True)
def test_scheduling_outside_of_a_transaction_is_one_statement_and_the_wake_up(django_assert_num_queries):
    connection.ensure_connection()
    with django_assert_num_queries(2 if connection.vendor == "postgresql" else 1):
        ctx.scheduler.run_after(0, note, label="a")


def test_scheduling_inside_of_a_transaction_is_one_statement(django_assert_num_queries):
    with django_assert_num_queries(1):
        ctx.scheduler.run_after(0, note, label="a")
