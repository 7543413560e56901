"""What a test may not leave behind."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from django.db import connection, connections

from tests.support import forked_processes

#: How long what a test has ended may take to be gone, in seconds.
PATIENCE = 5.0

#: Threads that belong to the process and stay: of asyncio, asgiref and the executor.
STAYING = ("asyncio_", "ThreadPoolExecutor", "django_scheduler event loop", "django_scheduler watchdog")

SERVERS = ("mariadbd", "postgres", "pgbouncer")

#: What one test has been blamed for, none after it is.
_blamed: set[str] = set()


@contextmanager
def nothing_left_behind(
    *, look_into_database: Callable[[], bool], unblock: Callable[[], AbstractContextManager[None]]
) -> Iterator[None]:
    """Fail a test that leaves a thread, a process, an open transaction, or another session in the test database."""
    threads, processes, transactions = set(threading.enumerate()), _processes(), _transactions()
    yield
    deadline = time.monotonic() + PATIENCE
    while left := [*_threads(threads), *_new_processes(processes), *_new_transactions(transactions)]:
        _fail_after(deadline, left)
    if look_into_database() and not transactions:
        with unblock():
            while left := [session for session in _sessions() if session not in _blamed]:
                _fail_after(deadline, left)


def _fail_after(deadline: float, left: list[str]) -> None:
    if time.monotonic() > deadline:
        _blamed.update(left)
        pytest.fail(f"The test has left behind: {', '.join(left)}.")
    time.sleep(0.01)


def _threads(before: set[threading.Thread]) -> list[str]:
    return [
        f"the thread {thread.name}"
        for thread in set(threading.enumerate()) - before
        if not thread.name.startswith(STAYING)
    ]


def _processes() -> set[str]:
    """Return the ids of this process's children, and of what was forked for it, where the kernel tells them.

    Without the database servers that a fixture has started for several tests, and that a test may restart.
    """
    children = _children("self")
    for server in forked_processes.running_servers:
        process_id = str(server.process_id)
        if process_id in children:
            children = children - {process_id} | _children(process_id)
    return {child for child in children if _program(child) not in SERVERS}


def _children(process_id: str) -> set[str]:
    children: set[str] = set()
    tasks = f"/proc/{process_id}/task"
    try:
        threads = [each.name for each in os.scandir(tasks)]
    except OSError:  # there is no such process any more, or this kernel does not tell
        return children
    for thread in threads:
        try:
            with open(f"{tasks}/{thread}/children") as file:  # noqa: PTH123 - before and after each test, so quickly
                children.update(file.read().split())
        except OSError:  # that thread has just ended
            continue
    return children


def _program(process_id: str) -> str:
    try:
        return Path(f"/proc/{process_id}/comm").read_text().strip()
    except OSError:  # it has just ended
        return ""


def _new_processes(before: set[str]) -> list[str]:
    return [f"the process {process_id}" for process_id in _processes() - before]


def _transactions() -> set[str]:
    """Return the aliases of this thread's connections that are in a transaction; most tests are, as a whole."""
    return {each.alias for each in connections.all(initialized_only=True) if each.in_atomic_block}


def _new_transactions(before: set[str]) -> list[str]:
    return [f"an open transaction in {alias}" for alias in _transactions() - before]


def _sessions() -> list[str]:
    """Return the sessions of others in the test database; with SQLite, its lock."""
    if connection.vendor == "sqlite":
        return _sqlite_lock()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT pid, application_name FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        else:
            cursor.execute(
                "SELECT id, user FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
            )
        return [f"the database session {' '.join(map(str, row))}" for row in cursor.fetchall()]


def _sqlite_lock() -> list[str]:
    other = sqlite3.connect(connection.settings_dict["NAME"], timeout=0, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        return [f"a lock on the database ({error})"]
    finally:
        other.close()
    return []
