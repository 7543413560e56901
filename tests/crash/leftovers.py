"""What bodies leave behind: in their session, their transaction, their thread, their process."""

import decimal
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection, connections, transaction
from django.utils import timezone, translation

from django_scheduler import Context, action, mutation
from tests.models import Account, Entry


def execute(sql: str) -> Callable[[], Any]:
    def leave() -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)

    return leave


def script(sql: str) -> Callable[[], Any]:
    def leave() -> None:
        with connection.cursor() as cursor:
            cursor.executescript(sql)

    return leave


#: Of the bodies of this process.
kept: list[Any] = []


def keep_a_half_read_iterator() -> None:
    rows = Account.objects.iterator(chunk_size=1)
    next(rows)
    kept.append(rows)


def keep_an_error_in_a_cycle() -> None:
    rows = Account.objects.iterator(chunk_size=1)
    next(rows)
    try:
        raise ValueError("kept")
    except ValueError as error:
        error.args = (error, rows)


def leave_a_wrapper() -> None:
    def refuse(execute: Any, *statement: Any) -> Any:
        raise ValueError("a wrapper of somebody else refuses this")

    connection.execute_wrappers.append(refuse)


def commit_by_the_driver() -> None:
    connection.connection.commit()


def close_the_driver() -> None:
    connection.connection.close()


def close_the_connection() -> None:
    connection.close()


def set_python_state() -> None:
    decimal.getcontext().prec = 1
    translation.activate("de")
    timezone.activate("Asia/Tokyo")


def write_in_a_thread_and_leave_it_open() -> None:
    def write() -> None:
        transaction.set_autocommit(False)
        Entry.objects.filter(pk=-1).update(label="of a thread")
        connections.close_all()

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)
    os.wait()


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise SystemExit("nor can it be described")

    __repr__ = __str__


def raise_what_cannot_be_described() -> None:
    raise Unspeakable


def exit_the_interpreter() -> None:
    raise SystemExit


EVERYWHERE: dict[str, Callable[[], Any]] = {
    "half-read iterator": keep_a_half_read_iterator,
    "error in a cycle": keep_an_error_in_a_cycle,
    "wrapper": leave_a_wrapper,
    "commit": commit_by_the_driver,
    "closed driver": close_the_driver,
    "closed connection": close_the_connection,
    "autocommit off": lambda: transaction.set_autocommit(False),
    "block": lambda: transaction.atomic().__enter__(),
    "COMMIT": execute("COMMIT"),
    "BEGIN": execute("BEGIN"),
    "state of Python": set_python_state,
    "nothing to describe": raise_what_cannot_be_described,
    "SystemExit": exit_the_interpreter,
    "error of the database": execute("SELECT nothing FROM nowhere"),
}

OF_VENDOR: dict[str, dict[str, Callable[[], Any]]] = {
    "postgresql": {
        "setting": execute("SELECT set_config('app.tenant', '7', false)"),
        "search path": execute("SET search_path = pg_temp"),
        "read only": execute("SET default_transaction_read_only = on"),
        "role": execute("SET ROLE pg_monitor"),
        "time zone": execute("SET TIME ZONE 'Asia/Tokyo'"),
        "shadowing table": execute("CREATE TEMPORARY TABLE tests_entry (id int)"),
        "lock": execute("SELECT pg_advisory_lock(7)"),
        "timeout": execute("SET statement_timeout = 1"),
        "end of session": execute("SELECT pg_terminate_backend(pg_backend_pid())"),
        "thread": write_in_a_thread_and_leave_it_open,
        "fork": fork,
    },
    "mysql": {
        "variable": execute("SET @tenant = 7"),
        "autocommit by SQL": execute("SET autocommit = 0"),
        "checks": execute("SET FOREIGN_KEY_CHECKS = 0"),
        "time": execute("SET timestamp = 1"),
        "other database": execute("USE information_schema"),
        "shadowing table": execute("CREATE TEMPORARY TABLE tests_entry (id int)"),
        "read only": execute("SET SESSION TRANSACTION READ ONLY"),
        "table locks": execute("LOCK TABLES tests_line READ"),
        "thread": write_in_a_thread_and_leave_it_open,
        "fork": fork,
    },
    "sqlite": {
        "script": script("BEGIN; UPDATE tests_account SET balance = balance"),
        "query only": execute("PRAGMA query_only = ON"),
        "shadowing table": execute("CREATE TEMPORARY TABLE tests_entry (id int)"),
        "attached": execute("ATTACH ':memory:' AS other"),
    },
}


def leftovers() -> dict[str, Callable[[], Any]]:
    return {**EVERYWHERE, **OF_VENDOR[connection.vendor]}


@mutation
def leave_behind_in_a_mutation(ctx: Context, *, what: str) -> None:
    leftovers()[what]()


@action
def leave_behind_in_an_action(ctx: Context, *, what: str) -> None:
    leftovers()[what]()


@mutation
def leave_behind_in_a_hook(ctx: Context, *, what: str) -> None:
    transaction.on_commit(leftovers()[what])


LEAVING = [leave_behind_in_a_mutation, leave_behind_in_an_action, leave_behind_in_a_hook]


def all_of_them() -> Iterator[tuple[Any, str]]:
    for function in LEAVING:
        for what in leftovers():
            yield function, what
