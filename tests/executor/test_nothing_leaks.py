"""Nothing of one function is left to the next one that the same thread executes."""

import threading
import zoneinfo
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone, translation

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.models import State
from tests.functions import write
from tests.models import Entry
from tests.support.records import record


def activate_everything() -> None:
    translation.activate("de")
    timezone.activate(zoneinfo.ZoneInfo("Asia/Tokyo"))


@mutation
def activate_in_a_mutation(ctx: Context) -> None:
    activate_everything()


@action
def activate_in_an_action(ctx: Context) -> None:
    activate_everything()


@action
async def activate_in_an_async_action(ctx: Context) -> None:
    activate_everything()


@mutation
def tell_in_a_mutation(ctx: Context) -> list[Any]:
    return [translation.get_language(), timezone.get_current_timezone_name()]


@action
def tell_in_an_action(ctx: Context) -> list[Any]:
    return tell_in_a_mutation.body(ctx)


@action
async def tell_in_an_async_action(ctx: Context) -> list[Any]:
    return tell_in_a_mutation.body(ctx)


@pytest.mark.parametrize("tell", [tell_in_a_mutation, tell_in_an_action, tell_in_an_async_action])
@pytest.mark.parametrize("activate", [activate_in_a_mutation, activate_in_an_action, activate_in_an_async_action])
def test_language_and_time_zone_that_a_function_activates_end_with_it(execute_due, activate, tell):
    ctx.scheduler.run_after(0, activate)
    function_id = ctx.scheduler.run_after(0, tell)

    execute_due()

    assert record(function_id).decoded_result() == ["en", "UTC"]


@action
def leave_a_transaction_open(ctx: Context) -> None:
    transaction.atomic().__enter__()
    Entry.objects.create(label="never committed")


@action
def leave_autocommit_off(ctx: Context) -> None:
    transaction.set_autocommit(False)
    Entry.objects.create(label="never committed")


@action
def leave_a_broken_connection(ctx: Context) -> None:
    connection.ensure_connection()
    connection.connection.close()


@pytest.mark.parametrize("leave", [leave_a_transaction_open, leave_autocommit_off, leave_a_broken_connection])
def test_state_of_the_connection_that_an_action_leaves_behind_does_not_matter(execute_due, leave):
    function_id = ctx.scheduler.run_after(0, leave)
    next_id = ctx.scheduler.run_after(0, write, label="next")

    execute_due()

    assert record(function_id).state == State.SUCCESS
    assert record(next_id).state == State.SUCCESS
    assert [entry.label for entry in Entry.objects.all()] == ["next"]


def let_pass(execute: Any, *args: Any) -> Any:
    return execute(*args)


@mutation
def leave_a_wrapper_in_a_mutation(ctx: Context) -> None:
    connection.execute_wrappers.append(let_pass)


@action
def leave_a_wrapper_in_an_action(ctx: Context) -> None:
    connection.execute_wrappers.append(let_pass)


@action
def tell_wrappers(ctx: Context) -> list[str]:
    return [repr(wrapper) for wrapper in connection.execute_wrappers]


@pytest.mark.parametrize("leave", [leave_a_wrapper_in_a_mutation, leave_a_wrapper_in_an_action])
def test_wrapper_of_statements_that_a_function_leaves_behind_ends_with_it(execute_due, leave):
    function_id = ctx.scheduler.run_after(0, leave)
    written_id = ctx.scheduler.run_after(0, write, label="next")
    told_id = ctx.scheduler.run_after(0, tell_wrappers)

    execute_due()

    assert [record(each).state for each in (function_id, written_id)] == [State.SUCCESS] * 2
    assert record(told_id).decoded_result() == []


hooks_that_ran: list[str] = []


@action
def leave_a_hook_of_a_transaction_that_is_not_committed(ctx: Context) -> None:
    transaction.set_autocommit(False)
    Entry.objects.create(label="committed")
    transaction.commit()
    Entry.objects.create(label="never committed")
    with transaction.atomic():
        transaction.on_commit(lambda: hooks_that_ran.append("never committed"))


def test_hook_of_a_transaction_that_is_not_committed_never_runs(execute_due):
    hooks_that_ran.clear()
    ctx.scheduler.run_after(0, leave_a_hook_of_a_transaction_that_is_not_committed)
    ctx.scheduler.run_after(0, write, label="next")

    execute_due()

    assert [entry.label for entry in Entry.objects.all()] == ["committed", "next"]
    assert hooks_that_ran == []


@mutation
def start_a_thread(ctx: Context) -> list[Any]:
    told: list[Any] = []
    thread = threading.Thread(target=lambda: told.append(ctx.function_id))
    thread.start()
    thread.join()
    return told


def test_context_that_a_function_was_given_knows_it_in_another_thread_too(execute_due):
    function_id = ctx.scheduler.run_after(0, start_a_thread)

    execute_due()

    assert record(function_id).decoded_result() == [function_id]
