"""Call back for each wake-up that PostgreSQL notifies, with psycopg 2 or 3, and notice when its server is gone.

Behind PgBouncer in transaction mode a connection has a session only for the time of a transaction. LISTEN is no error
there, but it listens in a session that somebody else has by then, and nothing ever arrives. So where there is a pooler
at all (it gives its clients process ids that are not those of the server's sessions) it is tried: listen on a channel
that nobody else knows, have another connection notify it, and wait while no transaction is open.
"""

import selectors
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from threading import Event
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from django_scheduler.databases import django_internals, silence
from django_scheduler.databases.rows import DueFunction
from django_scheduler.models import ScheduledFunctionId

#: How often a listener looks whether it is to stop, in seconds.
LISTEN_INTERVAL = 0.1

#: How often it is looked whether its server is there at all, and how long the answer may take, in seconds.
CHECK_INTERVAL, ANSWER_TIMEOUT = 60.0, 5.0

#: How long it may take to connect and to listen, in seconds: longer than connecting alone may.
SETUP_TIMEOUT = 15.0

#: How long a notification may take, in seconds.
NOTIFICATION_TIMEOUT = 1.0

#: How characters are written that would end a string or begin an escape; and the semicolon, because some code that
#: reads statements takes it for the end of one.
ESCAPED = str.maketrans({"'": "''", "\\": r"\\", ";": r"\x3b"})


def notify(channel: str, due_function: DueFunction | None) -> str:
    """Return the statement that notifies those who listen of a due function. ``None``: that they have to look.

    The commit of a transaction that only notifies waits for no disk, whatever ``synchronous_commit`` says. Written like
    this it takes 124 µs beside a request's transaction, and as a SELECT of ``pg_notify`` with parameters 150.
    """
    payload = ""
    if due_function is not None:
        function_id, priority, queue, tenant = due_function
        payload = f"{function_id} {priority} {queue}"
        if tenant:  # each of the two may have any characters
            payload = f"{function_id} {priority}:{len(tenant)} {tenant}{queue}"
    return f"NOTIFY {channel}, E'{payload.translate(ESCAPED)}'"


def due_function_of(payload: str) -> DueFunction | None:
    """Return the function that a notification names, which another version of this package or anybody may have sent."""
    try:
        function_id, priority, queue = payload.split(" ", 2)
        priority, _, length = priority.partition(":")
        tenant, queue = queue[: int(length or 0)], queue[int(length or 0) :]
        return DueFunction(ScheduledFunctionId(int(function_id)), int(priority), queue, tenant)
    except ValueError:
        return None


def wake_until(stopping: Event, connection: BaseDatabaseWrapper, wake: Callable[[DueFunction | None], None]) -> None:
    """Call ``wake`` for each notification that arrives at a connection that listens, until ``stopping`` is set.

    Raises the database's error if the connection has been lost.
    """
    driver: Any = django_internals.driver_of(connection)
    silence.keep_alive(driver.fileno())
    if hasattr(driver, "pgconn"):  # psycopg 3 tells by a handler what a statement has read
        driver.add_notify_handler(lambda notification: wake(due_function_of(notification.payload)))
    next_check = time.monotonic() + CHECK_INTERVAL
    with selectors.DefaultSelector() as selector:
        selector.register(driver.fileno(), selectors.EVENT_READ)
        while not stopping.is_set():
            if selector.select(timeout=LISTEN_INTERVAL):
                for payload in _payloads(driver):
                    wake(due_function_of(payload))
            if time.monotonic() > next_check:
                with silence.answering_within(ANSWER_TIMEOUT, driver.fileno), connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
                for payload in _payloads(driver):  # which the statement has read, so select() will not show them
                    wake(due_function_of(payload))
                next_check = time.monotonic() + CHECK_INTERVAL


def setting_up(connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
    """Give up a connection that is not ready in time, also if it is only made within the block."""
    return silence.answering_within(SETUP_TIMEOUT, lambda: int(django_internals.driver_of(connection).fileno()))


def shares_sessions(using: str, connection: BaseDatabaseWrapper) -> bool:
    """Return whether what ``connection`` listens for is not heard, because a pooler shares sessions."""
    driver: Any = django_internals.driver_of(connection)
    channel = f"django_scheduler_{uuid.uuid4().hex}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        if cursor.fetchone() == (driver.info.backend_pid,):
            return False
        cursor.execute(f"LISTEN {channel}")
    other = connections.create_connection(using)
    try:
        with setting_up(other), other.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [channel])
    finally:
        other.close()
    with selectors.DefaultSelector() as selector:
        selector.register(driver.fileno(), selectors.EVENT_READ)
        if not selector.select(NOTIFICATION_TIMEOUT):
            return True
    with connection.cursor() as cursor:
        cursor.execute(f"UNLISTEN {channel}")
    return False


def _payloads(driver: Any) -> Iterator[str]:
    """Return the payloads of the notifications that have arrived, each once."""
    if hasattr(driver, "pgconn"):  # psycopg 3
        driver.pgconn.consume_input()
        while notification := driver.pgconn.notifies():
            yield notification.extra.decode(errors="replace")
    else:
        driver.poll()
        while driver.notifies:
            yield driver.notifies.pop(0).payload
