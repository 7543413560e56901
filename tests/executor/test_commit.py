"""What happens at COMMIT and right after it: deferred constraints, hooks, log handlers."""

import logging
import sys

import pytest
from django.db import connection, transaction
from django.utils import translation

from django_scheduler import Context, ctx, mutation
from django_scheduler.models import Failure, State
from tests.functions import note, write, write_and_raise
from tests.models import Entry, Line
from tests.support.records import record

hooks: list[str] = []


@pytest.fixture(autouse=True)
def _no_hooks():
    hooks.clear()


@mutation
def write_line_of_nothing(ctx: Context) -> None:
    Entry.objects.create(label="before")
    transaction.on_commit(lambda: hooks.append("committed"))
    ctx.scheduler.run_after(0, write, label="child")
    Line.objects.create(entry_id=-1)


def test_constraint_that_is_violated_at_commit_fails_the_mutation(execute_due):
    function_id = ctx.scheduler.run_after(0, write_line_of_nothing)
    next_id = ctx.scheduler.run_after(0, write, label="next")

    execute_due()

    row = record(function_id)
    assert (row.state, row.failure, row.attempts) == (State.FAILED, Failure.ERROR, 1)
    assert row.error.startswith("IntegrityError: ")
    assert hooks == []
    assert [entry.label for entry in Entry.objects.all()] == ["next"]
    assert record(next_id).state == State.SUCCESS


def observe(label: str) -> None:
    assert not connection.in_atomic_block
    assert Entry.objects.filter(label="written").exists()
    hooks.append(label)


@mutation
def write_with_hooks(ctx: Context, *, robust: bool, error: str) -> None:
    def fail() -> None:
        observe("raises")
        if error == "exit":
            sys.exit(1)
        raise ValueError(error)

    transaction.on_commit(lambda: observe("first"))
    transaction.on_commit(fail, robust=robust)
    with transaction.atomic():
        transaction.on_commit(lambda: observe("in a savepoint"), robust=True)
    try:
        with transaction.atomic():
            transaction.on_commit(lambda: observe("undone"))
            raise ValueError
    except ValueError:
        pass
    transaction.on_commit(lambda: observe("last"))
    Entry.objects.create(label="written")


@pytest.mark.parametrize("error", ["ordinary", "exit"])
@pytest.mark.parametrize("robust", [False, True])
def test_hooks_run_in_order_after_the_commit_and_one_that_raises_changes_nothing(execute_due, robust, error):
    function_id = ctx.scheduler.run_after(0, write_with_hooks, robust=robust, error=error)
    next_id = ctx.scheduler.run_after(0, write, label="next")

    execute_due()

    assert hooks == ["first", "raises", "in a savepoint", "last"]
    assert (record(function_id).state, record(function_id).attempts) == (State.SUCCESS, 1)
    assert record(next_id).state == State.SUCCESS


@mutation
def leave_traces_in_a_hook(ctx: Context) -> None:
    def leave_traces() -> None:
        translation.activate("de")
        transaction.set_autocommit(False)
        Entry.objects.create(label="never committed")

    transaction.on_commit(leave_traces)


@mutation
def tell_language(ctx: Context) -> str:
    return translation.get_language()


def test_hook_leaves_nothing_to_the_next_function(execute_due):
    ctx.scheduler.run_after(0, leave_traces_in_a_hook)
    next_id = ctx.scheduler.run_after(0, tell_language)

    execute_due()

    assert record(next_id).decoded_result() == "en"
    assert not Entry.objects.exists()


class FailingHandler(logging.Handler):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    def emit(self, record: logging.LogRecord) -> None:
        raise self._error


@pytest.mark.parametrize("error", [ValueError("a handler"), SystemExit(1)])
def test_log_handler_that_raises_changes_nothing(execute_due, error):
    ids = {
        state: ctx.scheduler.run_after(0, function, label="logged")
        for state, function in [(State.SUCCESS, write), (State.FAILED, write_and_raise)]
    }
    note_id = ctx.scheduler.run_after(0, note, label="noted")
    logger, handler = logging.getLogger("django_scheduler.executor"), FailingHandler(error)
    logger.addHandler(handler)
    try:
        execute_due()
    finally:
        logger.removeHandler(handler)

    assert {state: record(function_id).state for state, function_id in ids.items()} == {state: state for state in ids}
    assert record(note_id).state == State.SUCCESS
    assert sorted(Entry.objects.values_list("label", flat=True)) == ["logged", "noted"]
