"""The connection of an action dies while the body waits for something outside of the database."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.databases import django_internals, session_guard
from django_scheduler.executor import body
from django_scheduler.models import ScheduledFunction, State
from tests.models import Entry
from tests.support.elsewhere import elsewhere
from tests.support.records import record
from tests.support.sessions import end_sessions
from tests.support.waiting import wait_until

pytestmark = pytest.mark.only_on("postgresql", "mysql")


@pytest.fixture(autouse=True)
def _soon_idle(monkeypatch):
    monkeypatch.setattr(session_guard, "IDLE", 0.0)
    monkeypatch.setattr(body, "CANCELED_INTERVAL", 0.0)


@pytest.fixture
def execute_due(execute_due):
    """The same, after which the test's own connection is a new one."""

    def execute() -> None:
        execute_due()
        connection.close()

    return execute


def lose_connections() -> None:
    """Have all connections end, as when the server restarts."""
    # The server only begins to end them.
    elsewhere(lambda: wait_until(lambda: end_sessions() == 0, "the sessions have ended"))


@mutation
def note_later(ctx: Context) -> None: ...


@mutation
def write_in_a_mutation(ctx: Context) -> None:
    Entry.objects.create(label="after")


def write() -> None:
    Entry.objects.create(label="after")


def write_in_a_block() -> None:
    with transaction.atomic():
        write()


def write_in_a_transaction_by_hand() -> None:
    transaction.set_autocommit(False)
    write()
    transaction.commit()
    transaction.set_autocommit(True)


def read() -> None:
    assert [entry.label for entry in Entry.objects.iterator()] == ["before"]


def ask_whether_it_is_canceled() -> None:
    assert ctx.canceled is False


def schedule() -> None:
    ctx.scheduler.run_after(0, note_later)


def cancel_all() -> None:
    assert ctx.scheduler.cancel_all(note_later) == 0


def run_mutation() -> None:
    ctx.run_mutation(write_in_a_mutation)


def do_nothing() -> None:
    """Have only the end be recorded."""


STEPS: dict[str, Callable[[], Any]] = {
    each.__name__: each
    for each in [
        write,
        write_in_a_block,
        write_in_a_transaction_by_hand,
        read,
        ask_whether_it_is_canceled,
        schedule,
        cancel_all,
        run_mutation,
        do_nothing,
    ]
}


@action
def call_outside(ctx: Context, *, step: str) -> None:
    Entry.objects.create(label="before")
    lose_connections()
    STEPS[step]()


@action
async def call_outside_async(ctx: Context, *, step: str) -> None:
    await Entry.objects.acreate(label="before")
    await asyncio.to_thread(lose_connections)
    await sync_to_async(STEPS[step])()


@action
async def call_outside_in_a_shared_thread(ctx: Context, *, step: str) -> None:
    await asyncio.to_thread(call_outside.body, ctx, step=step)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("function", [call_outside, call_outside_async, call_outside_in_a_shared_thread])
def test_action_goes_on_with_a_new_connection(execute_due, caplog, function, step):
    function_id = ctx.scheduler.run_after(0, function, step=step)

    execute_due()

    row = record(function_id)
    assert (row.state, row.error) == (State.SUCCESS, "")
    assert not [each.getMessage() for each in caplog.records if each.levelname != "INFO"]
    labels = ["before", "after"] if "write" in step or step == "run_mutation" else ["before"]
    assert [entry.label for entry in Entry.objects.order_by("pk")] == labels


@action
def schedule_before_and_after(ctx: Context) -> None:
    ctx.scheduler.run_after(0, note_later)
    ctx.scheduler.run_after_many(0, note_later, [{}, {}])
    lose_connections()
    ctx.scheduler.run_after(0, note_later)


def test_what_an_action_has_scheduled_does_not_keep_its_connection_from_being_replaced(execute_due):
    function_id = ctx.scheduler.run_after(0, schedule_before_and_after)

    execute_due()

    assert record(function_id).state == State.SUCCESS
    assert ScheduledFunction.objects.filter(name=note_later.name, state=State.SUCCESS).count() == 4


def in_a_block() -> None:
    with transaction.atomic():
        write()
        lose_connections()
        write()


def in_a_transaction_by_hand() -> None:
    transaction.set_autocommit(False)
    write()
    lose_connections()
    write()
    transaction.commit()


def in_a_transaction_by_sql() -> None:
    execute("BEGIN")
    write()
    lose_connections()
    write()
    execute("COMMIT")


def in_a_transaction_of_the_driver() -> None:
    connection.ensure_connection()
    connection.connection.execute("BEGIN")
    write()
    lose_connections()
    write()


def after_a_setting() -> None:
    execute({"postgresql": "SET app.tenant = '7'", "mysql": "SET @tenant = 7"}[connection.vendor])
    lose_connections()
    write()


def after_a_setting_of_a_function() -> None:
    execute(
        {"postgresql": "SELECT set_config('app.tenant', '7', false)", "mysql": "SET @tenant = 7"}[connection.vendor]
    )
    lose_connections()
    write()


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


RELYING: dict[str, Callable[[], Any]] = {
    each.__name__: each
    for each in [
        in_a_block,
        in_a_transaction_by_hand,
        in_a_transaction_by_sql,
        in_a_transaction_of_the_driver,
        after_a_setting,
        after_a_setting_of_a_function,
    ]
}


@action
def rely_on_the_session(ctx: Context, *, how: str) -> None:
    RELYING[how]()


@pytest.mark.parametrize("how", RELYING)
def test_connection_on_whose_session_the_body_relies_is_not_replaced(execute_due, how):
    if how == "in_a_transaction_of_the_driver" and connection.vendor == "mysql":
        pytest.skip("MySQL's driver does not say whether a transaction is open")
    function_id = ctx.scheduler.run_after(0, rely_on_the_session, how=how)

    execute_due()

    row = record(function_id)
    assert (row.state, row.failure) == (State.FAILED, "error")
    assert not Entry.objects.exists()


@action
def read_elsewhere(ctx: Context, *, loses: bool) -> int:
    number = Entry.objects.using("elsewhere").count()
    if loses:
        lose_connections()
    return number


def test_connection_to_another_database_that_has_died_between_two_actions_is_replaced(execute_due, monkeypatch):
    monkeypatch.setattr(session_guard, "IDLE", 2.0)
    monkeypatch.setitem(connections.settings, "elsewhere", {**connection.settings_dict, "CONN_MAX_AGE": None})
    # Django's tests may connect to no database that was not there when they began.
    monkeypatch.setattr(BaseDatabaseWrapper, "ensure_connection", lambda own: own.connection or own.connect())
    ids = [ctx.scheduler.run_after(0, read_elsewhere, loses=loses) for loses in (True, False)]

    execute_due()

    assert [record(each).state for each in ids] == [State.SUCCESS] * 2


@action
def tell_session(ctx: Context) -> list[int]:
    Entry.objects.count()
    numbers = [id(django_internals.driver_of(connection))]
    with connection.execute_wrapper(lambda execute, *args: execute(*args)):
        lose_connections()
        Entry.objects.count()
        numbers.append(id(django_internals.driver_of(connection)))
    Entry.objects.create(label="after")
    assert connection.execute_wrappers == []
    return numbers


def test_wrappers_of_statements_stay_when_a_connection_is_replaced(execute_due):
    function_id = ctx.scheduler.run_after(0, tell_session)

    execute_due()

    numbers: Any = record(function_id).decoded_result()
    assert len(set(numbers)) == 2


@action
def write_at_once(ctx: Context, *, label: str) -> None:
    Entry.objects.create(label=label)
    with transaction.atomic():
        Entry.objects.count()


def test_connection_that_was_just_used_is_not_checked(execute_due, monkeypatch):
    monkeypatch.setattr(session_guard, "IDLE", 30.0)
    checks: list[Any] = []

    def note(own: Any) -> bool:
        checks.append(own)
        return True

    monkeypatch.setattr(type(connections["default"]), "is_usable", note)
    for number in range(3):
        ctx.scheduler.run_after(0, write_at_once, label=str(number))

    execute_due()

    assert Entry.objects.count() == 3
    assert checks == []
