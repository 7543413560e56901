"""What an executor's code does not know, or whose arguments it refuses, is left to executors with other code."""

import logging
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.errors import TransientError
from django_scheduler.executor import unexecutable
from django_scheduler.executor.body import FunctionExecution
from django_scheduler.executor.claim_policy import LeftToOthers
from django_scheduler.executor.poller import Until
from django_scheduler.models import Failure, ScheduledFunction, State
from tests.functions import note, write
from tests.models import Entry
from tests.support.in_process import execute_with_one_worker, executing, one_worker
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

GRACE = timedelta(minutes=15)


@pytest.fixture(autouse=True)
def nothing_logged_yet(monkeypatch):
    monkeypatch.setattr(unexecutable, "_logged", set())


@mutation
def take_label(ctx: Context, *, label: str, entry: Entry | None = None) -> str:
    return label


@action
def take_label_outside(ctx: Context, *, label: str) -> str:
    return label


def scheduled_by_other_code(function=write, *, name="tests:of_new_code", times=1, **columns) -> list[int]:
    """Functions as code has scheduled them that this process does not have."""
    ids: list[int] = [ctx.scheduler.run_after(0, function, label="x") for _ in range(times)]
    ScheduledFunction.objects.filter(pk__in=ids).update(**({"name": name} | columns))
    return ids


def with_refused_arguments(function) -> int:
    function_id = ctx.scheduler.run_after(0, function, label="x")
    ScheduledFunction.objects.filter(pk=function_id).update(args={"label": "x", "of_new_code": 1})
    return function_id


def found_long_ago(function_id: int) -> None:
    first_found = record(function_id).unknown_since
    assert first_found is not None
    ScheduledFunction.objects.filter(pk=function_id).update(unknown_since=first_found - GRACE)


@pytest.fixture
def other_code(monkeypatch):
    """Go on as an executor would that has just started with other code."""

    def start() -> None:
        monkeypatch.setattr("django_scheduler.executor.claim_policy.CODE", "0ther")
        monkeypatch.setattr(unexecutable, "CODE", "0ther")

    return start


def test_a_function_of_newer_code_stays_pending_and_others_run_on():
    (new_id,) = scheduled_by_other_code()
    other_id = ctx.scheduler.run_after(0, write, label="other")
    before = record(new_id)

    execute_with_one_worker()

    row = record(new_id)
    assert (row.state, row.attempts, row.started_time, row.completed_time) == (State.PENDING, 0, None, None)
    assert (row.due_time, row.scheduled_time) == (before.due_time, before.scheduled_time)
    assert "has no function 'tests:of_new_code'" in row.error
    assert row.unknown_since is not None
    assert record(other_id).state == State.SUCCESS


@pytest.mark.parametrize("function", [take_label, take_label_outside])
def test_a_function_whose_arguments_only_newer_code_takes_stays_pending_and_others_run_on(function):
    new_id = with_refused_arguments(function)
    other_id = ctx.scheduler.run_after(0, write, label="other")

    execute_with_one_worker()

    row = record(new_id)
    assert (row.state, row.attempts, row.started_time) == (State.PENDING, 0, None)
    assert "unexpected keyword argument 'of_new_code'" in row.error
    assert record(other_id).state == State.SUCCESS


@pytest.mark.parametrize("function", [take_label, take_label_outside])
def test_newer_code_executes_it_at_once_and_nothing_is_left_of_the_wait(function, other_code):
    function_id = with_refused_arguments(function)
    execute_with_one_worker()
    ScheduledFunction.objects.filter(pk=function_id).update(args={"label": "x"})  # as newer code takes it

    other_code()
    execute_with_one_worker()

    row = record(function_id)
    assert (row.state, row.attempts, row.error, row.result) == (State.SUCCESS, 1, "", "x")


def test_a_function_that_was_unknown_is_executed_by_an_executor_that_knows_it(other_code):
    (function_id,) = scheduled_by_other_code()
    execute_with_one_worker()
    ScheduledFunction.objects.filter(pk=function_id).update(name="tests:write")  # which is what other code knows

    other_code()
    execute_with_one_worker()

    assert record(function_id).state == State.SUCCESS
    assert Entry.objects.count() == 1


def test_each_executor_that_cannot_execute_it_meets_it_once(other_code):
    (function_id,) = scheduled_by_other_code()
    with one_worker() as worker:
        worker.run()
        first_found = record(function_id).unknown_since
        worker.stopping.clear()
        worker.run()  # and passes over it
        assert worker.left_to_others.counts == {"tests:of_new_code": 1}
    other_code()
    execute_with_one_worker()

    row = record(function_id)
    assert len((row.unknown_to or "").split()) == 2
    assert row.unknown_since == first_found


def test_the_grace_counts_from_when_it_was_first_found_and_then_it_is_missing(caplog):
    (function_id,) = scheduled_by_other_code()
    execute_with_one_worker()
    found_long_ago(function_id)

    execute_with_one_worker()

    row = record(function_id)
    assert (row.state, row.failure, row.attempts) == (State.FAILED, Failure.MISSING, 1)
    assert row.error.startswith("FunctionNotFound: there is no function 'tests:of_new_code'")


def test_the_executor_that_has_left_it_fails_it_too_once_the_grace_is_over():
    (function_id,) = scheduled_by_other_code()
    with one_worker() as worker:
        worker.run()
        found_long_ago(function_id)
        worker.stopping.clear()
        worker.run()
    assert record(function_id).failure == Failure.MISSING


@pytest.mark.parametrize("function", [take_label, take_label_outside])
def test_refused_arguments_are_an_error_once_the_grace_is_over(function):
    function_id = with_refused_arguments(function)
    execute_with_one_worker()
    found_long_ago(function_id)

    execute_with_one_worker()

    row = record(function_id)
    assert (row.state, row.failure, row.attempts) == (State.FAILED, Failure.ERROR, 1)
    assert row.error.startswith("InvalidArguments: ")


@pytest.mark.usefixtures("no_grace")
@pytest.mark.parametrize("function", [take_label, take_label_outside])
def test_without_a_grace_refused_arguments_are_an_error_at_once(function):
    function_id = with_refused_arguments(function)
    execute_with_one_worker()
    assert (record(function_id).failure, record(function_id).unknown_since) == (Failure.ERROR, None)


def test_an_instance_whose_row_is_gone_is_an_error_at_once_for_no_code_can_change_that():
    entry = Entry.objects.create(label="soon gone")
    function_id = ctx.scheduler.run_after(0, take_label, label="x", entry=entry)
    entry.delete()

    execute_with_one_worker()

    assert (record(function_id).state, record(function_id).failure) == (State.FAILED, Failure.ERROR)


@mutation
def raise_invalid_arguments(ctx: Context) -> None:
    ctx.scheduler.run_after(0, "tests:take_label", lable="misspelt")


def test_a_body_that_calls_another_function_wrongly_fails_at_once():
    function_id = ctx.scheduler.run_after(0, raise_invalid_arguments)
    execute_with_one_worker()
    assert (record(function_id).state, record(function_id).failure) == (State.FAILED, Failure.ERROR)


@mutation
def meet_a_transient_error(ctx: Context, *, label: str) -> None:
    raise TransientError("not yet")


@pytest.mark.usefixtures("even_backoff")
def test_what_other_code_has_begun_is_given_the_whole_grace_again_when_it_waits_for_a_retry(other_code, settings):
    settings.DJANGO_SCHEDULER = {"BACKOFF_INITIAL": timedelta(minutes=10)}
    function_id = with_refused_arguments(meet_a_transient_error)
    execute_with_one_worker()
    ScheduledFunction.objects.filter(pk=function_id).update(args={"label": "x"})  # as other code takes it
    other_code()
    execute_with_one_worker()

    row = record(function_id)
    assert (row.state, row.attempts, row.unknown_since) == (State.PENDING, 1, None)


@pytest.mark.usefixtures("growing_groups")
def test_a_group_with_a_member_whose_arguments_are_refused_commits_all_others():
    ids = ctx.scheduler.run_after_many(0, take_label, [{"label": f"{number}"} for number in range(8)])
    refused = ids[5]
    ScheduledFunction.objects.filter(pk=refused).update(args={"label": "x", "of_new_code": 1})

    execute_with_one_worker()

    assert record(refused).state == State.PENDING
    assert ScheduledFunction.objects.filter(state=State.SUCCESS).count() == 7


def test_many_are_left_in_few_transactions():
    scheduled_by_other_code(times=60)
    with one_worker() as worker, CaptureQueriesContext(connection) as statements:
        worker.run()
        assert worker.left_to_others.counts == {"tests:of_new_code": 60}
    assert not ScheduledFunction.objects.filter(unknown_since=None).exists()
    assert sum(each["sql"] == "COMMIT" for each in statements) < 15


def test_a_cancel_of_what_is_left_wins():
    (function_id,) = scheduled_by_other_code()
    execute_with_one_worker()
    found_long_ago(function_id)
    ctx.scheduler.cancel(function_id)
    execute_with_one_worker()
    assert record(function_id).state == State.CANCELED


def test_an_action_that_was_canceled_while_its_arguments_were_refused_stays_canceled(monkeypatch):
    function_id = with_refused_arguments(take_label_outside)
    load_arguments = FunctionExecution.load_arguments

    def cancel_first(execution):
        ctx.scheduler.cancel(function_id)
        return load_arguments(execution)

    monkeypatch.setattr(FunctionExecution, "load_arguments", cancel_first)
    execute_with_one_worker()
    assert record(function_id).state == State.CANCELED


def test_what_has_ended_is_not_looked_through_for_what_waits(other_code):
    """After a deployment the record is full of functions that have waited and have ended since."""
    left = scheduled_by_other_code(times=4)
    left += [with_refused_arguments(take_label), with_refused_arguments(take_label_outside)]
    execute_with_one_worker()
    ctx.scheduler.cancel(left[0])
    found_long_ago(left[1])
    ScheduledFunction.objects.filter(pk__in=left[2:4]).update(name="tests:write")  # which is what other code knows
    ScheduledFunction.objects.filter(pk__in=left[4:]).update(args={"label": "x"})
    other_code()
    execute_with_one_worker()

    assert [record(each).state for each in left] == [State.CANCELED, State.FAILED, *[State.SUCCESS] * 4]
    assert not ScheduledFunction.objects.filter(unknown_since__isnull=False).exists()


@pytest.mark.parametrize("until", [Until.NOTHING_DUE, Until.NOTHING_PENDING])
def test_an_executor_that_ends_by_itself_ends_and_says_what_it_has_left(until, caplog):
    scheduled_by_other_code(times=3)
    with caplog.at_level(logging.WARNING), executing(until=until) as executor:
        assert executor.wait(timeout=20)
    (said,) = [each.getMessage() for each in caplog.records if "has left functions" in each.getMessage()]
    assert said.endswith("tests:of_new_code (3)")
    assert ScheduledFunction.objects.filter(state=State.PENDING).count() == 3


def test_the_first_one_of_a_name_is_logged_as_a_warning_and_the_others_only_to_debug(caplog):
    ids = scheduled_by_other_code(times=3)
    with caplog.at_level(logging.DEBUG, logger="django_scheduler"):
        execute_with_one_worker()
    left = [each for each in caplog.records if "left pending" in each.getMessage()]
    assert [each.levelname for each in left] == ["WARNING", "DEBUG", "DEBUG"]
    assert left[0].getMessage().startswith(f"tests:of_new_code {ids[0]}: this executor's code does not know it")


def test_a_running_executor_executes_what_comes_later_and_fails_what_nobody_knew(settings):
    settings.DJANGO_SCHEDULER = {"POLL_INTERVAL": timedelta(seconds=0.05)}
    (function_id,) = scheduled_by_other_code()
    with executing():
        wait_until(lambda: record(function_id).unknown_since, "it was left")
        with transaction.atomic():
            other_id = ctx.scheduler.run_after(0, note, label="later")
        wait_until(lambda: record(other_id).state == State.SUCCESS, "another one was executed")
        assert record(function_id).state == State.PENDING
        found_long_ago(function_id)
        wait_until(lambda: record(function_id).failure == Failure.MISSING, "its grace was over")


def test_nothing_is_passed_over_as_long_as_everything_is_known():
    assert LeftToOthers().passed_over is None
