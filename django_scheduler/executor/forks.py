"""A process that a body forks has no part in its executor.

``os.fork``, and ``multiprocessing`` with its method ``fork``, copy the connections of every thread. The server sees no
end of a connection while any copy of its socket is open: after the end of the executor, another thread's mutation would
stay locked for as long as such a process lives. And two processes that use one connection make each other's answers
unreadable. So, in the process that was forked:

* Every copied socket is replaced by ``/dev/null``. It is not shut down, and nothing is sent, because that would end the
  session of the executor.
* The drivers' objects are kept for ever and not used again, because closing one has effects, too: that of SQLite would
  roll back what the executor is writing.
* The thread that goes on has no connections, as far as Django knows, and makes its own. So what it writes is part of
  no mutation.
* It never comes back from the body to the executor, which would record the end of the function twice: it ends there.
  An async body's process ends at its next ``await``, because the loop would go on with the bodies of others.

What is not seen is a connection that another thread is just making.

SQLite does not allow that a process uses a database that its parent had open when it forked: it believes that it
has the locks of the copied connections, and a lock within SQLite that another thread held is never released. So a
process that is forked must leave an SQLite database alone.

A program that is started (``subprocess``, ``os.system``) inherits no socket of these, because they are marked so.
"""

import os
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn
from weakref import WeakSet

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from django_scheduler.databases import django_internals

#: The connections of all threads.
_connections: WeakSet[BaseDatabaseWrapper] = WeakSet()

#: What a process that was forked keeps, and does not use.
_unused: list[Any] = []

_is_watching = False


def watch_forks() -> None:
    """Note from now on which connections this process makes, for the processes that it forks."""
    global _is_watching
    if not _is_watching:
        _is_watching = True
        for connection in connections.all(initialized_only=True):
            _note(connection)
        connection_created.connect(_note)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_let_go)


def when_forked_in(thread: threading.Thread, call: Callable[[], None]) -> None:
    """Have a process call this first that is forked in this thread."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: call() if threading.current_thread() is thread else None)


def end_process() -> NoReturn:
    """End this process, which a body has forked: only its parent goes on. Its exit code is what Python's would be.

    Call it where the body has just returned or raised, and not in the process in which it has begun.
    """
    code = 0
    error = sys.exception()
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
        code = error.code or 0
    elif error is not None:
        traceback.print_exception(error)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # it may be closed
            stream.flush()
    os._exit(code)


def _note(connection: BaseDatabaseWrapper, **kwargs: object) -> None:
    _connections.add(connection)
    if (socket := _descriptor(django_internals.driver_of(connection))) is not None:
        os.set_inheritable(socket, False)  # mysqlclient leaves it to programs that are started


def _let_go() -> None:
    """Let go of the executor's sessions. Runs in the process that was forked, before anything else does."""
    nothing = os.open(os.devnull, os.O_RDWR)
    copied = list(_connections)
    drivers = [django_internals.driver_of(connection) for connection in copied]
    for pool in [pool for connection in copied for pool in django_internals.take_pools(connection)]:
        drivers += [pool, *pool._pool]
    for driver in drivers:
        if (socket := _descriptor(driver)) is not None:
            os.dup2(nothing, socket, inheritable=False)
    os.close(nothing)
    _unused.extend([copied, drivers])
    _connections.clear()
    for connection in connections.all(initialized_only=True):
        django_internals.forget_driver(connection)


def _descriptor(driver: Any) -> int | None:
    """Return the number of a driver's socket; ``None`` where it has none, or is closed."""
    try:
        number = driver.fileno()
    except Exception:
        return None
    return number if isinstance(number, int) and number >= 0 else None
