"""Faults at named points of a real executor: it is killed there, or its session is ended.

The product knows nothing of this. A process that is started with ``TEST_FAULT`` in its environment wraps what it
runs through anyway (a COMMIT, a statement, a body) and strikes when it comes to the point: once, whatever becomes
of the process and those after it.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

#: Of a mutation, in the order in which an executor comes to them.
IN_MUTATION = [
    "after the claim",
    "in the body",
    "after the body",
    "before COMMIT",
    "after COMMIT",
    "in on_commit",
]
#: Of an action.
IN_ACTION = [
    "after the claim of an action",
    "in the body of an action",
    "after the body of an action",
    "after the record of an action",
]
#: Of what an executor does besides.
BESIDES = ["in retention", "in recovery", "in a heartbeat"]

POINTS = [*IN_MUTATION, *IN_ACTION, *BESIDES]

TABLE = "django_scheduler_scheduledfunction"

#: How far the function of this thread has come.
_stage = threading.local()


def fault(point: str, how: str, directory: Path) -> dict[str, str]:
    """What stands in the environment of a process that is to meet this fault."""
    assert point in POINTS
    return {"TEST_FAULT": json.dumps({"point": point, "how": how, "struck": str(directory / "struck")})}


def has_struck(directory: Path) -> bool:
    return (directory / "struck").exists()


def reach(point: str) -> None:
    """This thread has come to the point."""
    if "TEST_FAULT" not in os.environ:
        return
    planned = json.loads(os.environ["TEST_FAULT"])
    if planned["point"] != point:
        return
    with suppress(FileExistsError):
        os.close(os.open(planned["struck"], os.O_CREAT | os.O_EXCL))
        HOW[planned["how"]]()


def has_begun(kind: str) -> None:
    """For the body of a function to say, that the thread is known to have one."""
    _stage.kind = kind


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # until it is delivered


def _end_session() -> None:
    """As an administrator does, or a failover: the server ends the session that this thread uses."""
    driver: Any = connection.connection
    other = connections.create_connection(connection.alias)
    try:
        with other.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [driver.info.backend_pid])
            else:
                cursor.execute("KILL CONNECTION %s", [driver.thread_id()])
    finally:
        other.close()


HOW: dict[str, Callable[[], None]] = {"SIGKILL": _kill, "the end of its session": _end_session}


def install() -> None:
    """Wrap what an executor comes through."""
    from django_scheduler.executor.body import FunctionExecution
    from django_scheduler.models import Kind

    def call(execution: Any, call: Callable[[Any], Any]) -> Any:
        reach("after the claim" if execution.function.kind is Kind.MUTATION else "after the claim of an action")
        return call(execution)

    def commit(connection: Any, commit: Callable[[Any], Any]) -> Any:
        kind, _stage.kind = getattr(_stage, "kind", None), None
        if kind == "mutation":
            reach("before COMMIT")
        commit(connection)
        if kind == "mutation":
            reach("after COMMIT")

    _wrap(FunctionExecution, "call", call)
    _wrap(BaseDatabaseWrapper, "commit", commit)
    connection_created.connect(_watch_statements)


def _wrap(owner: type, name: str, wrapper: Callable[[Any, Callable[[Any], Any]], Any]) -> None:
    original = getattr(owner, name)

    @wraps(original)
    def wrapped(self: Any) -> Any:
        return wrapper(self, original)

    setattr(owner, name, wrapped)


def _watch_statements(connection: Any, **kwargs: object) -> None:
    if _watch not in connection.execute_wrappers:
        connection.execute_wrappers.append(_watch)


def _watch(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
    task = threading.current_thread().name.removeprefix("django_scheduler ")
    kind = getattr(_stage, "kind", None)
    is_record = sql.startswith(f"UPDATE {TABLE}") and " SET state" in sql
    is_end_of_action = kind == "action" and is_record
    if kind == "mutation" and is_record:
        reach("after the body")
    if is_end_of_action:
        reach("after the body of an action")
    answer = execute(sql, *arguments)
    if is_end_of_action:
        _stage.kind = None
        reach("after the record of an action")
    if task == "retention" and sql.startswith("DELETE") and TABLE in sql:
        reach("in retention")
    if task == "recovery" and sql.startswith("UPDATE") and TABLE in sql:
        reach("in recovery")
    if task == "heartbeat" and sql.startswith("UPDATE"):
        reach("in a heartbeat")
    return answer
