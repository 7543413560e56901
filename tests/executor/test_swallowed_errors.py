"""A body that catches an error of the database and goes on never commits half of what it has done."""

from contextlib import suppress

import pytest
from django.db import DatabaseError, connection, connections, transaction

from django_scheduler import Context, ctx, mutation
from django_scheduler.models import Failure, ScheduledFunction, State
from tests.functions import write
from tests.models import Entry
from tests.support.records import record

hooks: list[str] = []


def provoke_error() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nothing FROM nowhere")


def swallow_outside_of_a_savepoint() -> None:
    with suppress(DatabaseError):
        provoke_error()


def swallow_inside_of_a_savepoint() -> None:
    with transaction.atomic():
        swallow_outside_of_a_savepoint()


def swallow_what_a_savepoint_undid() -> None:
    try:
        with transaction.atomic():
            Entry.objects.create(label="undone")
            provoke_error()
    except DatabaseError:
        pass


def swallow_what_no_savepoint_undid() -> None:
    try:
        with transaction.atomic(savepoint=False):
            Entry.objects.create(label="not undone")
            raise ValueError
    except ValueError:
        pass


def mark_for_rollback() -> None:
    transaction.set_rollback(True)


def close_the_connection() -> None:
    connection.close()


def close_the_drivers_connection() -> None:
    connection.connection.close()


def replace_the_connection() -> None:
    connections["default"] = connections.create_connection("default")


def delete_the_connection() -> None:
    del connections["default"]


def enter_a_block_and_not_leave_it() -> None:
    transaction.atomic().__enter__()
    Entry.objects.create(label="inside")


def enter_a_block_without_savepoint_and_not_leave_it() -> None:
    transaction.atomic(savepoint=False).__enter__()


def roll_back_by_hand() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ROLLBACK")


def remove_all_wrappers_of_statements() -> None:
    connection.execute_wrappers.clear()


def replace_all_wrappers_of_statements() -> None:
    connection.execute_wrappers = []
    swallow_outside_of_a_savepoint()


def delete_its_own_record() -> None:
    ScheduledFunction.objects.all().delete()


def finish_its_own_record() -> None:
    ScheduledFunction.objects.update(state=State.SUCCESS)


WAYS = {
    way.__name__: way
    for way in [
        swallow_outside_of_a_savepoint,
        swallow_inside_of_a_savepoint,
        swallow_what_a_savepoint_undid,
        swallow_what_no_savepoint_undid,
        mark_for_rollback,
        close_the_connection,
        close_the_drivers_connection,
        replace_the_connection,
        delete_the_connection,
        enter_a_block_and_not_leave_it,
        enter_a_block_without_savepoint_and_not_leave_it,
        roll_back_by_hand,
        remove_all_wrappers_of_statements,
        replace_all_wrappers_of_statements,
        delete_its_own_record,
        finish_its_own_record,
    ]
}
#: The transaction is whole after these: a statement that failed has undone itself and nothing else.
HARMLESS = {"postgresql": {"swallow_what_a_savepoint_undid", "remove_all_wrappers_of_statements"}}
HARMLESS["mysql"] = HARMLESS["sqlite"] = HARMLESS["postgresql"] | {
    "swallow_outside_of_a_savepoint",
    "swallow_inside_of_a_savepoint",
    "replace_all_wrappers_of_statements",
}


#: Nobody can tell a connection that the driver was told to close from one that was lost, if it is used again. What
#: is written on another connection is part of no mutation, and on SQLite waits for it.
NOT_USED_AFTER_IT = {"close_the_drivers_connection", "replace_the_connection", "delete_the_connection"}


@mutation
def write_before_and_after(ctx: Context, *, way: str, after: bool) -> None:
    Entry.objects.create(label="before")
    ctx.scheduler.run_after(0, write, label="child")
    transaction.on_commit(lambda: hooks.append(way))
    WAYS[way]()
    if after:
        Entry.objects.create(label="after")


@pytest.mark.parametrize(
    ("way", "after"),
    [(way, after) for way in WAYS for after in (False, True) if not (after and way in NOT_USED_AFTER_IT)],
)
def test_mutation_commits_all_or_nothing_whatever_its_body_did_to_the_transaction(execute_due, way, after):
    hooks.clear()
    function_id = ctx.scheduler.run_after(0, write_before_and_after, way=way, after=after)
    next_id = ctx.scheduler.run_after(0, write, label="next")

    execute_due()

    row = record(function_id)
    labels = sorted(Entry.objects.values_list("label", flat=True))
    assert record(next_id).state == State.SUCCESS
    if way in HARMLESS[connection.vendor]:
        assert row.state == State.SUCCESS
        assert labels == sorted(["before", "child", "next"] + ["after"] * after)
        assert hooks == [way]
    else:
        assert (row.state, row.failure, row.attempts) == (State.FAILED, Failure.ERROR, 1)
        assert labels == ["next"]
        assert hooks == []


@pytest.mark.only_on("postgresql")
def test_message_names_the_error_that_was_swallowed_and_what_to_do(execute_due):
    function_id = ctx.scheduler.run_after(0, write_before_and_after, way="swallow_outside_of_a_savepoint", after=False)

    execute_due()

    row = record(function_id)
    assert row.error.startswith("BrokenTransaction: tests:write_before_and_after: the body caught ProgrammingError (")
    assert "nowhere" in row.error
    assert "with transaction.atomic()" in row.error
    assert "nothing FROM nowhere" in row.traceback


@pytest.mark.parametrize("way", ["mark_for_rollback", "close_the_connection", "enter_a_block_and_not_leave_it"])
def test_message_says_that_the_transaction_could_not_be_committed(execute_due, way):
    function_id = ctx.scheduler.run_after(0, write_before_and_after, way=way, after=False)

    execute_due()

    assert record(function_id).error.startswith(
        "BrokenTransaction: tests:write_before_and_after: the body returned, but its transaction cannot"
    )


@mutation
def insert_or_rollback_and_go_on(ctx: Context) -> None:
    entry = Entry.objects.create(label="before")
    try:
        with connection.cursor() as cursor:
            cursor.execute("INSERT OR ROLLBACK INTO tests_entry (id, label, executor) VALUES (%s, 'x', '')", [entry.pk])
    except DatabaseError:
        pass
    Entry.objects.create(label="after")


@pytest.mark.only_on("sqlite")
def test_statement_after_an_error_that_ended_the_transaction_does_not_commit_by_itself(execute_due):
    function_id = ctx.scheduler.run_after(0, insert_or_rollback_and_go_on)

    execute_due()

    assert record(function_id).state == State.FAILED
    assert not Entry.objects.exists()
