"""Hearing what PostgreSQL notifies, by either driver, and noticing when its server is no longer there."""

import selectors
import time
from collections.abc import Callable
from threading import Event
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from django_scheduler.databases import silence

#: How often a listener looks whether it is to stop, in seconds.
LISTEN_INTERVAL = 0.1

#: How often it is looked whether its server is there at all, and how long the answer may take, in seconds.
CHECK_INTERVAL, CHECK_PATIENCE = 30.0, 5.0


def ring_until(stopping: Event, connection: BaseDatabaseWrapper, ring: Callable[[], None]) -> None:
    """Ring for whatever arrives at a connection that listens, until it is to stop.

    Raises the database's error if the connection has been lost.
    """
    driver: Any = connection.connection
    silence.keep_alive(driver.fileno())
    next_check = time.monotonic() + CHECK_INTERVAL
    with selectors.DefaultSelector() as selector:
        selector.register(driver.fileno(), selectors.EVENT_READ)
        while not stopping.is_set():
            if selector.select(timeout=LISTEN_INTERVAL):
                _drain_notifications(driver)
                ring()
            if time.monotonic() > next_check:
                with silence.answering_within(CHECK_PATIENCE, driver.fileno()), connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
                ring()  # what has arrived meanwhile is in no queue of ours
                next_check = time.monotonic() + CHECK_INTERVAL


def _drain_notifications(driver: Any) -> None:
    if hasattr(driver, "pgconn"):  # psycopg 3
        driver.pgconn.consume_input()
        while driver.pgconn.notifies():
            pass
    else:
        driver.poll()
        driver.notifies.clear()
