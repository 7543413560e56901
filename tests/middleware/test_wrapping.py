"""Middleware wraps the body of each scheduled function, as if it were part of it."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.errors import TransientError
from django_scheduler.executor.by_id import execute, leave
from django_scheduler.executor.poller import Until
from django_scheduler.models import Failure, Kind, State
from django_scheduler.testing import ManualScheduler
from tests.executor.grouping import functions as of_groups
from tests.functions import note, note_async, write, write_and_raise
from tests.middleware import classes
from tests.middleware.classes import calls, events, tenant
from tests.models import Entry
from tests.support.in_process import execute_with_one_worker
from tests.support.records import record

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

AROUND = ["outer begins", "inner begins", "inner ends", "outer ends"]


def by_a_worker(function_id: int) -> None:
    execute_with_one_worker()


def in_a_test(function_id: int) -> None:
    with ManualScheduler() as scheduler:
        scheduler.run_due()


def by_its_id(function_id: int) -> None:
    execute(function_id)
    leave()


@pytest.mark.parametrize("executed", [by_a_worker, in_a_test, by_its_id])
@pytest.mark.parametrize("function", [write, note, note_async])
def test_the_first_one_of_the_setting_is_outermost(use, function, executed):
    use(classes.Outer, classes.Inner)
    function_id = ctx.scheduler.run_after(0, function, label="wrapped")
    events.clear()

    executed(function_id)

    assert events == AROUND
    assert record(function_id).state == State.SUCCESS
    assert Entry.objects.get().label == "wrapped"


def test_it_is_told_what_is_called(use):
    use(classes.Inner)
    function_id = ctx.scheduler.run_after(0, write, label="told")
    execute_with_one_worker()

    (call,) = calls
    told = {"name": call.name, "kind": call.kind, "id": call.id, "args": call.args, "attempt": call.attempt}
    assert told == {
        "name": "tests:write",
        "kind": Kind.MUTATION,
        "id": function_id,
        "args": {"label": "told"},
        "attempt": 1,
    }
    assert (call.context, call.queue, call.using) == ({}, "default", "default")
    assert call.executor == record(function_id).executor


def test_what_it_writes_around_a_mutation_is_part_of_it(use):
    use(classes.AuditsInTheDatabase)
    done = ctx.scheduler.run_after(0, write, label="done")
    execute_with_one_worker()
    failed = ctx.scheduler.run_after(0, write_and_raise, label="failed")
    execute_with_one_worker()

    assert [each.label for each in Entry.objects.all()] == [f"before {done}", "done", "after"]
    assert record(failed).error == "ValueError: failed is not to be"


def test_its_error_is_one_of_the_body(use):
    use(classes.RaisesAfterwards)
    mutated = ctx.scheduler.run_after(0, write, label="rolled back")
    acted = ctx.scheduler.run_after(0, note, label="noted")
    execute_with_one_worker()

    for function_id in (mutated, acted):
        row = record(function_id)
        assert (row.state, row.failure) == (State.FAILED, Failure.ERROR)
        assert row.error == "LookupError: the auditor is not there"
        assert "in __call__" in row.traceback
    assert [each.label for each in Entry.objects.all()] == ["noted"]


def test_traceback_of_the_body_begins_at_the_body(use):
    use(classes.Outer, classes.Inner)
    function_id = ctx.scheduler.run_after(0, write_and_raise, label="it")
    execute_with_one_worker()

    assert "in write_and_raise" in record(function_id).traceback
    assert "in __call__" not in record(function_id).traceback


@pytest.mark.parametrize(
    ("middleware", "said"),
    [
        (classes.ForgetsTheResult, "its middleware has returned None, and its body has returned"),
        (classes.NeverRuns, "its middleware has returned None, and its body was not called"),
        (classes.RunsTwice, "its middleware has run it twice"),
    ],
)
def test_one_that_does_not_run_the_body_once_and_return_what_it_returns_fails_the_function(use, middleware, said):
    use(classes.Outer, middleware)
    mutated = ctx.scheduler.run_after(0, write, label="rolled back")
    acted = ctx.scheduler.run_after(0, note, label="noted")
    execute_with_one_worker()

    for function_id in (mutated, acted):
        assert record(function_id).state == State.FAILED
        assert f"{record(function_id).name} {function_id}: {said}" in record(function_id).error
    assert not Entry.objects.filter(label="rolled back").exists()
    assert Entry.objects.filter(label="noted").count() <= 1


def test_error_that_it_drops_is_no_success(use):
    use(classes.DropsErrors)
    function_id = ctx.scheduler.run_after(0, write_and_raise, label="it")
    execute_with_one_worker()

    assert record(function_id).state == State.FAILED
    assert "its middleware has returned None, and its body has raised an exception" in record(function_id).error
    assert not Entry.objects.exists()


@mutation(timeout=0.2)
def be_wrapped_for_too_long(ctx: Context) -> None: ...


def test_its_time_is_that_of_the_body(use):
    use(classes.Hangs)
    function_id = ctx.scheduler.run_after(0, be_wrapped_for_too_long)
    execute_with_one_worker()

    assert record(function_id).failure == Failure.TIMEOUT


@action
async def tell_tenant_async(ctx: Context) -> str:
    await asyncio.sleep(0)
    return tenant.get()


@action
def tell_tenant(ctx: Context) -> str:
    return tenant.get()


@mutation
def tell_tenant_in_a_transaction(ctx: Context) -> str:
    return tenant.get()


@pytest.mark.parametrize("function", [tell_tenant, tell_tenant_async, tell_tenant_in_a_transaction])
def test_body_sees_the_variables_that_it_sets_and_the_next_function_does_not(use, function):
    use(classes.Tenant)
    token = tenant.set("acme")
    of_acme = ctx.scheduler.run_after(0, function)
    tenant.reset(token)
    of_nobody = ctx.scheduler.run_after(0, function)
    execute_with_one_worker()

    assert record(of_acme).result == "acme"
    assert record(of_nobody).result == ""


def test_members_of_a_group_are_each_wrapped(use, backlog, groups):
    use(classes.Inner, classes.Tenant)
    ids = []
    for name in ("a", "b", "c", "d"):
        token = tenant.set(name)
        ids.append(ctx.scheduler.run_after(0, tell_tenant_in_a_transaction))
        tenant.reset(token)
    execute_with_one_worker()

    assert ids in groups
    assert [call.id for call in calls][-4:] == ids
    assert [record(function_id).result for function_id in ids] == ["a", "b", "c", "d"]


def session_setting() -> Any:
    with connection.cursor() as cursor:
        cursor.execute(classes.ASK_SESSION[connection.vendor])
        return cursor.fetchone()[0]


@pytest.fixture
def seen_in_session() -> Iterator[list[Any]]:
    """What each of three mutations finds set in its session."""
    seen: list[Any] = []
    of_groups.interludes.update(dict.fromkeys(("a", "b", "c"), lambda: seen.append(session_setting())))
    yield seen
    of_groups.interludes.clear()


def test_session_that_it_sets_is_not_shared_by_a_group_and_does_not_reach_the_next_function(
    use, backlog, groups, seen_in_session
):
    use(classes.SetsTheSession)
    ids = [ctx.scheduler.run_after(0, of_groups.enter, label=name) for name in ("a", "c")]
    execute_with_one_worker()
    use()
    ctx.scheduler.run_after(0, of_groups.enter, label="b")
    execute_with_one_worker()

    assert ids in groups
    assert [each.label for each in Entry.objects.all()] == ["a", "c", "b"]
    of_a, of_c, of_b = seen_in_session
    assert of_a == of_c != of_b == session_setting()


def test_direct_calls_are_not_wrapped(use):
    use(classes.Outer)
    ctx.run_mutation(write, label="called")
    ctx.run_action(note, label="called")
    write(ctx, label="called")

    assert events == []


@mutation
def call_another(ctx: Context) -> None:
    ctx.run_mutation(write, label="called")


def test_what_a_function_calls_is_wrapped_with_it(use):
    use(classes.Outer)
    function_id = ctx.scheduler.run_after(0, call_another)
    events.clear()
    execute_with_one_worker()

    assert record(function_id).state == State.SUCCESS
    assert events == ["outer begins", "outer ends"]


@mutation
def succeed_the_second_time(ctx: Context) -> None:
    if len(calls) == 1:
        raise TransientError("not yet")


def test_each_attempt_is_wrapped(use, settings):
    settings.DJANGO_SCHEDULER = {"BACKOFF_INITIAL": timedelta(milliseconds=1)}
    use(classes.Inner)
    function_id = ctx.scheduler.run_after(0, succeed_the_second_time)
    execute_with_one_worker(Until.NOTHING_PENDING)

    assert [(call.id, call.attempt) for call in calls] == [(function_id, 1), (function_id, 2)]
