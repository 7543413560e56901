"""What receivers of the signals are told, when, and that nothing they do changes an outcome."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.dispatch import Signal

from django_scheduler import Context, ctx, mutation
from django_scheduler.databases import database_for
from django_scheduler.executor.recovery import record_lost
from django_scheduler.models import ScheduledFunction, State
from django_scheduler.scheduling.interventions import run_again
from django_scheduler.signals import function_finished, function_scheduled, function_started
from django_scheduler.supervisor.death import record_death
from tests.functions import note, note_and_raise, write, write_and_raise, write_then_schedule
from tests.models import Entry
from tests.support.records import record

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@contextmanager
def received(signal: Signal, do: Callable[[], object] = lambda: None) -> Iterator[list[dict[str, Any]]]:
    """What a receiver is told meanwhile, which also does something."""
    told: list[dict[str, Any]] = []

    def receive(**arguments: Any) -> None:
        told.append(arguments)
        do()

    signal.connect(receive)
    try:
        yield told
    finally:
        signal.disconnect(receive)


def ids(told: list[dict[str, Any]]) -> list[int]:
    return [each["function_id"] for each in told]


def test_scheduled_is_sent_when_the_transaction_commits():
    with received(function_scheduled) as told:
        with transaction.atomic():
            first = ctx.scheduler.run_after(0, write, label="first")
            others = ctx.scheduler.run_after_many(timedelta(hours=1), note, [{"label": "other"}] * 2)
            assert told == []
        assert ids(told) == [first, *others]

    assert told[0]["sender"] is ScheduledFunction
    assert (told[0]["name"], told[0]["kind"], told[0]["queue"], told[0]["using"]) == (
        "tests:write",
        "mutation",
        "default",
        "default",
    )


def test_scheduled_is_sent_at_once_outside_of_a_transaction():
    with received(function_scheduled) as told:
        function_id = ctx.scheduler.run_after(0, write, label="first")
        assert ids(told) == [function_id]


def test_scheduled_is_sent_of_what_runs_again(execute_due):
    finished = [ctx.scheduler.run_after(0, write, label="once"), ctx.scheduler.run_after(0, note, label="once")]
    execute_due()

    with received(function_scheduled) as told, transaction.atomic():
        run_again("default", finished)
        assert told == []

    reruns = ScheduledFunction.objects.filter(rerun_of__in=finished)
    assert ids(told) == list(reruns.order_by("pk").values_list("pk", flat=True))
    assert [each["name"] for each in told] == ["tests:write", "tests:note"]


def test_nothing_is_sent_of_what_is_rolled_back():
    with received(function_scheduled) as told, transaction.atomic():
        kept = ctx.scheduler.run_after(0, write, label="kept")
        with pytest.raises(ValueError, match="undone"), transaction.atomic():
            ctx.scheduler.run_after(0, write, label="undone")
            raise ValueError("undone")

    assert ids(told) == [kept]


def test_scheduled_is_sent_of_what_a_mutation_schedules(execute_due):
    with received(function_scheduled) as told:
        function_id = ctx.scheduler.run_after(0, write_then_schedule, label="parent")
        execute_due()

    child = ScheduledFunction.objects.get(parent=function_id)
    assert ids(told) == [function_id, child.pk]


def test_nothing_is_told_of_what_is_scheduled_in_a_transaction_that_was_begun_by_hand(execute_due, settings):
    settings.DJANGO_SCHEDULER = {"MAX_SCHEDULED_PER_TRANSACTION": 1}
    with received(function_scheduled) as told:
        transaction.set_autocommit(False)
        try:
            scheduled = [ctx.scheduler.run_after(0, write, label=label) for label in ("first", "second")]
            transaction.commit()
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)
        assert told == []
    execute_due()
    assert [record(each).state for each in scheduled] == [State.SUCCESS] * 2


@pytest.mark.parametrize(
    ("function", "state", "failure"),
    [
        (write, "success", ""),
        (write_and_raise, "failed", "error"),
        (note, "success", ""),
        (note_and_raise, "failed", "error"),
    ],
)
def test_start_and_end_are_told_once(execute_due, function, state, failure):
    with received(function_started) as started, received(function_finished) as finished:
        function_id = ctx.scheduler.run_after(0, function, label="told")
        execute_due()

    row = record(function_id)
    for (told,) in (started, finished):
        assert (told["function_id"], told["name"], told["kind"]) == (function_id, row.name, row.kind)
        assert (told["attempt"], told["executor"], told["using"]) == (1, row.executor, "default")
        assert told["lag"] >= 0
    assert (finished[0]["state"], finished[0]["failure"]) == (state, failure)
    assert finished[0]["duration"] >= 0
    assert "state" not in started[0]


@pytest.mark.usefixtures("no_grace")
def test_end_of_a_function_that_is_gone_is_told(execute_due):
    function_id = ctx.scheduler.run_after(0, write, label="of a function that is gone")
    ScheduledFunction.objects.filter(pk=function_id).update(name="tests:gone")

    with received(function_finished) as told:
        execute_due()

    assert [(each["name"], each["failure"], each["kind"]) for each in told] == [("tests:gone", "missing", "")]


def test_end_of_a_lost_action_is_told():
    function_id = ctx.scheduler.run_after(0, note, label="lost")
    ScheduledFunction.objects.update(state=State.IN_PROGRESS, executor="gone", attempts=1)

    with received(function_finished) as told:
        record_lost(database_for("default"), "gone", "a test")

    assert [(each["function_id"], each["failure"], each["executor"]) for each in told] == [
        (function_id, "lost", "gone")
    ]


def test_end_of_a_lost_action_is_neither_told_nor_logged_if_its_record_is_rolled_back(caplog):
    function_id = ctx.scheduler.run_after(0, note, label="not lost")
    ScheduledFunction.objects.update(state=State.IN_PROGRESS, executor="gone", attempts=1)

    with received(function_finished) as told:
        with transaction.atomic():
            record_lost(database_for("default"), "gone", "a test")
            transaction.set_rollback(True)
        assert (told, caplog.text, record(function_id).state) == ([], "", State.IN_PROGRESS)
        with transaction.atomic():
            record_lost(database_for("default"), "gone", "a test")
            assert (told, caplog.text) == ([], "")

    assert ids(told) == [function_id]
    assert f"tests:note {function_id}: failed (lost), because a test" in caplog.text


@pytest.mark.parametrize("crashes", [1, 2])
def test_end_of_a_mutation_that_has_crashed_too_often_is_told(crashes):
    function_id = ctx.scheduler.run_after(0, write, label="crashed")
    ScheduledFunction.objects.update(crashes=crashes, attempts=crashes)

    with received(function_finished) as told:
        record_death(database_for("default"), "dead", [function_id], "SIGSEGV")

    ends = [(each["function_id"], each["failure"], each["executor"], each["attempt"]) for each in told]
    assert ends == ([(function_id, "crashed", "dead", 3)] if crashes == 2 else [])


def raise_something() -> None:
    raise ValueError("of a receiver")


def leave() -> None:
    raise SystemExit


def make_a_database_error() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nothing FROM nowhere")


def write_an_entry() -> None:
    Entry.objects.create(label="of a receiver")


def leave_a_transaction_open() -> None:
    transaction.atomic().__enter__()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("do", [raise_something, leave, make_a_database_error, leave_a_transaction_open])
@pytest.mark.parametrize("signal", [function_started, function_finished])
@pytest.mark.parametrize("function", [write, note])
def test_receiver_that_misbehaves_changes_no_outcome(execute_due, signal, do, function):
    with received(signal, do) as told:
        function_id = ctx.scheduler.run_after(0, function, label="told")
        next_id = ctx.scheduler.run_after(0, function, label="next")
        execute_due()

    assert ids(told) == [function_id, next_id]
    assert [record(each).state for each in (function_id, next_id)] == [State.SUCCESS] * 2
    assert sorted(entry.label for entry in Entry.objects.all()) == ["next", "told"]


def test_receiver_cannot_write_into_the_transaction_of_a_mutation_that_starts(execute_due, caplog):
    with received(function_started, write_an_entry):
        function_id = ctx.scheduler.run_after(0, write, label="told")
        execute_due()

    assert record(function_id).state == State.SUCCESS
    assert [entry.label for entry in Entry.objects.all()] == ["told"]
    assert f"cannot use the database 'default' while {write.name} {function_id} begins" in caplog.text


def test_receiver_may_write_once_a_function_has_finished(execute_due):
    with received(function_finished, write_an_entry):
        ctx.scheduler.run_after(0, write, label="told")
        execute_due()

    assert [entry.label for entry in Entry.objects.all()] == ["told", "of a receiver"]


@mutation
def schedule_and_fail(ctx: Context) -> None:
    ctx.scheduler.run_after(0, write, label="child")
    raise ValueError("nothing of it remains")


def test_receiver_that_misbehaves_does_not_keep_a_function_from_being_scheduled():
    with received(function_scheduled, raise_something), transaction.atomic():
        function_id = ctx.scheduler.run_after(0, write, label="told")

    assert record(function_id).state == State.PENDING


def test_nothing_is_told_of_what_a_failed_mutation_had_scheduled(execute_due):
    function_id = ctx.scheduler.run_after(0, schedule_and_fail)

    with received(function_scheduled) as told:
        execute_due()

    assert record(function_id).state == State.FAILED
    assert told == []
