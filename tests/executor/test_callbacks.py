"""``on_complete`` and ``on_failure`` are scheduled once, in the very transaction that records how a function ended."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from django_scheduler import Context, Outcome, action, ctx, internal_action, internal_mutation, mutation
from django_scheduler.databases import TABLE, database_for
from django_scheduler.errors import (
    ArgumentsTooLarge,
    FunctionNotFound,
    InvalidArguments,
    TooManyScheduled,
    TransientError,
)
from django_scheduler.executor.recovery import record_lost
from django_scheduler.models import ScheduledFunction, ScheduledFunctionId, State
from django_scheduler.record import transitions
from django_scheduler.supervisor import death
from django_scheduler.testing import ManualScheduler
from tests.models import Entry
from tests.support.in_process import execute_with_one_worker
from tests.support.records import record

outcomes: list[tuple[str, Outcome]] = []
attempts: list[int] = []


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    outcomes.clear()
    attempts.clear()


@internal_mutation
def report_end(ctx: Context, *, outcome: Outcome, label: str = "complete") -> None:
    outcomes.append((label, outcome))
    Entry.objects.create(label=f"{outcome.name} {outcome.state}")


@internal_action(queue="alarms", priority=3, expires=timedelta(hours=1))
def raise_alarm(ctx: Context, *, outcome: Outcome) -> None:
    outcomes.append(("failure", outcome))


@mutation
def followed_mutation(ctx: Context, *, number: int) -> tuple[int, timedelta]:
    return number, timedelta(days=number)


@action
def followed_action(ctx: Context, *, number: int) -> tuple[int, timedelta]:
    return number, timedelta(days=number)


@mutation
def followed_refusal(ctx: Context) -> None:
    raise ValueError("no such order")


@action
def followed_failure(ctx: Context) -> None:
    raise ValueError("no such order")


@mutation(timeout=0.05)
def followed_hang(ctx: Context) -> None:
    while True:
        pass


@mutation
def followed_retries(ctx: Context) -> object:
    attempts.append(1)
    if len(attempts) < 3:
        raise TransientError("not yet")
    return object()


@pytest.fixture
def scheduler(transactional_db):
    return ctx.scheduler.options(on_complete=report_end, on_failure=raise_alarm)


def children(function_id: int) -> list[ScheduledFunction]:
    return list(ScheduledFunction.objects.filter(parent=function_id).order_by("pk"))


@pytest.mark.parametrize("function", [followed_mutation, followed_action])
def test_success_is_told_with_its_result(scheduler, function):
    function_id = scheduler.run_after(0, function, number=7)

    execute_with_one_worker()

    assert outcomes == [
        (
            "complete",
            Outcome(
                id=function_id,
                name=function.name,
                state="success",
                failure="",
                result=(7, timedelta(days=7)),
                error="",
                attempts=1,
            ),
        )
    ]
    (child,) = children(function_id)
    assert (child.name, child.state) == (report_end.name, State.SUCCESS)


@pytest.mark.parametrize("function", [followed_refusal, followed_failure])
def test_failure_is_told_to_both(scheduler, function):
    function_id = scheduler.run_after(0, function)

    execute_with_one_worker()

    assert sorted(label for label, _ in outcomes) == ["complete", "failure"]
    for _, outcome in outcomes:
        assert (outcome.state, outcome.failure, outcome.error) == ("failed", "error", "ValueError: no such order")
        assert (outcome.id, outcome.attempts, outcome.result) == (function_id, 1, None)
    assert {(child.name, child.queue, child.priority) for child in children(function_id)} == {
        (report_end.name, "default", 0),
        (raise_alarm.name, "alarms", 3),
    }
    alarm = ScheduledFunction.objects.get(name=raise_alarm.name)
    assert alarm.expires_time is not None
    assert timedelta(hours=1) <= alarm.expires_time - alarm.scheduled_time < timedelta(hours=2)


def test_timeout_is_told(scheduler):
    scheduler.run_after(0, followed_hang)

    execute_with_one_worker()

    assert {outcome.failure for _, outcome in outcomes} == {"timeout"}
    assert len(outcomes) == 2


def test_attempts_that_are_repeated_are_not_told(scheduler, settings):
    settings.DJANGO_SCHEDULER = {"BACKOFF_INITIAL": timedelta(milliseconds=1)}
    scheduler.run_after(0, followed_retries)

    while len(attempts) < 3:
        execute_with_one_worker()
    execute_with_one_worker()

    ((_, outcome),) = outcomes
    assert (outcome.state, outcome.attempts, outcome.error) == ("success", 3, "")
    assert isinstance(outcome.result, str)  # what could not be stored comes as its repr
    assert "object object" in outcome.result


def test_function_that_is_gone_is_told(scheduler, no_grace):
    function_id = scheduler.run_after(0, followed_mutation, number=1)
    ScheduledFunction.objects.filter(pk=function_id).update(name="tests:gone")

    execute_with_one_worker()

    assert {(outcome.name, outcome.failure) for _, outcome in outcomes} == {("tests:gone", "missing")}
    assert len(outcomes) == 2


def test_loss_is_told(scheduler):
    function_id = scheduler.run_after(0, followed_action, number=1)
    lose(function_id)

    execute_with_one_worker()

    assert [(outcome.state, outcome.failure, outcome.attempts) for _, outcome in outcomes] == [
        ("failed", "lost", 1),
        ("failed", "lost", 1),
    ]


def test_end_of_what_has_crashed_too_often_is_told(scheduler):
    function_id = scheduler.run_after(0, followed_mutation, number=1)
    for number in range(death.TOO_MANY_CRASHES):
        death.record_death(database_for("default"), f"executor {number}", [function_id], "a signal")

    execute_with_one_worker()

    assert record(function_id).failure == "crashed"
    assert {outcome.failure for _, outcome in outcomes} == {"crashed"}
    assert len(outcomes) == 2


def test_cancel_is_told_and_is_rolled_back_with_it(scheduler):
    function_id = scheduler.run_after(60_000, followed_mutation, number=1)
    with transaction.atomic():
        ctx.scheduler.cancel(function_id)
        transaction.set_rollback(True)
    assert children(function_id) == []

    ctx.scheduler.cancel(function_id)
    ctx.scheduler.cancel(function_id)  # once

    execute_with_one_worker()
    assert [(outcome.state, outcome.failure, outcome.error) for _, outcome in outcomes] == [("canceled", "", "")] * 2


def test_each_of_more_than_a_thousand_that_are_canceled_is_told(transactional_db):
    calls = [{"number": number} for number in range(1_100)]
    followed = ctx.scheduler.options(on_complete=(report_end, {"label": "canceled"})).run_after_many(
        60_000, followed_mutation, calls
    )
    ctx.scheduler.run_after_many(60_000, followed_mutation, calls)

    assert ctx.scheduler.cancel_all(followed_mutation) == 2_200

    rows = ScheduledFunction.objects.filter(name=report_end.name)
    assert list(rows.order_by("parent").values_list("parent", flat=True)) == followed
    assert all(row.decoded_args()["outcome"].id == row.parent_id for row in rows)  # type: ignore[attr-defined]


def test_what_is_canceled_from_the_beginning_is_told(transactional_db):
    caller = ctx.scheduler.run_after(0, schedule_although_canceled)

    execute_with_one_worker()

    born = ScheduledFunction.objects.get(name=followed_mutation.name)
    assert (born.state, born.parent_id) == (State.CANCELED, caller)
    assert [(label, outcome.id, outcome.state) for label, outcome in outcomes] == [("complete", born.pk, "canceled")]


@action
def schedule_although_canceled(ctx: Context) -> None:
    from django_scheduler import ctx as outer

    function_id = ctx.function_id
    assert function_id is not None
    ScheduledFunction.objects.filter(pk=function_id).update(state=State.CANCELED)
    outer.scheduler.options(on_complete=report_end).run_after(0, followed_mutation, number=1)


def test_members_of_a_group_are_told_each(scheduler, backlog, groups):
    ids = [scheduler.run_after(0, followed_mutation, number=number) for number in range(3)]

    execute_with_one_worker()

    assert any(set(ids) <= set(group) for group in groups)
    assert sorted((outcome.id, outcome.result) for _, outcome in outcomes) == [
        (function_id, (number, timedelta(days=number))) for number, function_id in enumerate(ids)
    ]


def test_callback_is_there_exactly_if_the_end_is_on_record(scheduler, monkeypatch):
    """What makes the commit of the end fail leaves neither."""
    function_id = scheduler.run_after(0, followed_action, number=1)
    apply = transitions.Transition.apply
    failed: list[str] = []

    def fail_once(transition: transitions.Transition, *args: Any, **kwargs: Any) -> bool:
        with transaction.atomic():
            is_changed = apply(transition, *args, **kwargs)
            if transition is transitions.END and not failed:
                failed.append("the connection is gone")
                raise TransientError(failed[0])
        return is_changed

    monkeypatch.setattr(transitions.Transition, "apply", fail_once)
    execute_with_one_worker()

    assert failed
    assert record(function_id).state == State.SUCCESS
    assert len(children(function_id)) == 1


def test_callbacks_count_against_no_limit(scheduler, settings):
    settings.DJANGO_SCHEDULER = {"MAX_SCHEDULED_PER_TRANSACTION": 1}
    with transaction.atomic():
        function_id = scheduler.run_after(60_000, followed_mutation, number=1)
        with pytest.raises(TooManyScheduled):
            ctx.scheduler.run_after(0, followed_mutation, number=2)
        ctx.scheduler.cancel(function_id)

    assert len(children(function_id)) == 2


def test_callbacks_of_many_are_spread_over_several_statements(transactional_db):
    """MariaDB takes no statement of over 16 MiB."""
    scheduler = ctx.scheduler.options(on_complete=(report_end, {"label": "x" * 60_000}))

    scheduler.run_after_many(60_000, followed_mutation, [{"number": number} for number in range(400)])

    assert ScheduledFunction.objects.count() == 400


def test_functions_without_callbacks_cost_no_statement_more(transactional_db):
    ids = [ctx.scheduler.run_after(60_000, followed_mutation, number=number) for number in range(2)]

    with CaptureQueriesContext(connection) as statements:
        ctx.scheduler.cancel(ids[0])

    updates = [each["sql"] for each in statements if TABLE in each["sql"] and "UPDATE" in each["sql"]]
    assert len([each for each in updates if each.startswith("UPDATE")]) == 1, updates
    assert not [each for each in statements if "callbacks" in each["sql"] and each["sql"].startswith("SELECT")]


@pytest.mark.parametrize(
    ("callback", "error", "says"),
    [
        (followed_mutation, InvalidArguments, "outcome"),
        ((report_end, {"labels": "x"}), InvalidArguments, "did you mean 'label'"),
        ((report_end, {"outcome": 1}), InvalidArguments, "outcome"),
        ((report_end, {"label": object()}), InvalidArguments, "label"),
        ("tests:no_such_function", FunctionNotFound, "no_such_function"),
        ((report_end,), InvalidArguments, "with its arguments"),
        ((report_end, {"label": "x" * 70_000}), ArgumentsTooLarge, "65,536"),
        (report_end.body, FunctionNotFound, "decorate it"),
    ],
)
def test_callback_that_could_not_run_is_refused_with_the_call(callback, error, says, transactional_db):
    with pytest.raises(error, match=says) as raised:
        ctx.scheduler.options(on_complete=callback).run_after(0, followed_mutation, number=1)

    assert str(raised.value).startswith(f"{followed_mutation.name} was not scheduled: its ")
    assert not ScheduledFunction.objects.exists()


def lose(function_id: ScheduledFunctionId) -> None:
    """Have an executor begin an action, and be gone."""
    database = database_for("default")
    attempt = {"started_time": record(function_id).due_time, "attempts": 1, "executor": "one that is gone"}
    assert transitions.BEGIN.apply(database, function_id, attempt)
    record_lost(database, "one that is gone", "its process has ended")


# A result that cannot be restored any more

readings: list[tuple[str, str]] = []


@internal_mutation
def read_result(ctx: Context, *, outcome: Outcome) -> None:
    try:
        text = repr(outcome.result)
    except InvalidArguments as error:
        text = str(error)
    readings.append((outcome.state, text))
    assert repr(outcome).startswith(f"Outcome(id={outcome.id}, ")


@mutation
def make_entry(ctx: Context) -> Entry:
    return Entry.objects.create(label="short-lived")


@pytest.mark.parametrize("nested", [False, True])
def test_callback_runs_and_learns_of_the_end_although_the_result_is_gone(nested, transactional_db):
    readings.clear()

    @mutation
    def make_nested(ctx: Context) -> dict[str, list[Entry]]:
        return {"made": [Entry.objects.create(label="short-lived")]}

    function = make_nested if nested else make_entry
    function_id = ctx.scheduler.options(on_complete=read_result).run_after(0, function)
    with ManualScheduler() as manual:
        manual.run_due()
        Entry.objects.all().delete()
        manual.run_due()

    ((state, text),) = readings
    assert state == "success"
    assert text.startswith(
        f"The result of {function.name} {function_id}, which has ended (success), cannot be restored"
    )
    assert "no longer exists" in text
    assert ("made[0]" in text) is nested
    assert ScheduledFunction.objects.get(name=read_result.name).state == State.SUCCESS


def test_result_that_is_there_is_restored_as_ever(transactional_db):
    readings.clear()
    ctx.scheduler.options(on_complete=read_result).run_after(0, make_entry)

    execute_with_one_worker()

    assert readings == [("success", "<Entry: short-lived>")]


@pytest.mark.parametrize("has_grace", [True, False])
def test_result_that_other_code_may_know_is_left_to_it_and_then_the_callback_runs(
    has_grace, settings, transactional_db
):
    readings.clear()
    settings.DJANGO_SCHEDULER = {"UNKNOWN_FUNCTION_GRACE": timedelta(minutes=15) if has_grace else timedelta(0)}
    ctx.scheduler.options(on_complete=read_result).run_after(0, followed_mutation, number=7)
    with ManualScheduler() as manual:
        manual.run_due()
    row = ScheduledFunction.objects.get(name=read_result.name)
    row.args["outcome"]["$dataclass"][1]["result"] = {"$enum": ["tests.functions:OfTomorrow", "NEW"]}
    row.save(update_fields=["args"])

    execute_with_one_worker()

    row.refresh_from_db()
    if has_grace:
        assert (row.state, readings) == (State.PENDING, [])
    else:
        assert row.state == State.SUCCESS
        assert "OfTomorrow cannot be found any more" in readings[0][1]
