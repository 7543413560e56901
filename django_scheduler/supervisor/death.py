"""What a dead process leaves behind, recorded.

Its actions are lost, and its executor is no longer on record: ``recovery.py`` does it, here at once.

Its mutations have vanished, and are claimed again by whoever comes first. But one of those whose bodies were running
may have killed it, and would go on to kill whoever runs it. So each of them is counted, in its row, where it outlives
this supervisor too; and one that has been there three times fails. Which one, where there are several? An innocent
that runs for long may be in its body each time. So one is blamed only if it has been there more often than all the
others that were there this time; until then they are due again at random, later each time, and meet less and less.

Somebody may execute the row again before it is counted. Then the count waits for its lock, and finds either that it
has succeeded, or that it is pending still, and that there is one more dead process.
"""

import logging
import time
from collections.abc import Collection
from datetime import timedelta

from django.db import DatabaseError, InterfaceError, connections

from django_scheduler.databases import NOW, Database
from django_scheduler.executor import recover_lost_actions, tell_failed
from django_scheduler.models import Failure, Kind, ScheduledFunction, State
from django_scheduler.telemetry import log_of_executors as log
from django_scheduler.transactions import DoublingWait, backoff

#: A mutation in whose body so many processes have died is not run again.
TOO_MANY_CRASHES = 3


def record_death(database: Database, executor_name: str, in_body: Collection[int], end: str) -> None:
    """Record it, however long the database takes to be there. ``end``: how the process ended."""
    uncounted = set(in_body)
    crashes: dict[int, int] = {}
    waits = DoublingWait(first=0.2, longest=2.0)
    while True:
        try:
            recover_lost_actions(database)
            for function_id in sorted(uncounted):
                if count := _count_crash(database, function_id, executor_name, end):
                    crashes[function_id] = count
                uncounted.discard(function_id)
            if culprit := _culprit(crashes):
                _fail(database, culprit, crashes[culprit], executor_name, end)
            return
        except (DatabaseError, InterfaceError) as error:
            wait = waits.next()
            log(
                logging.WARNING,
                "What the dead executor %s has left behind could not be recorded yet, trying again in %.1f s: %s",
                executor_name,
                wait,
                error,
                executor=executor_name,
            )
        finally:
            connections.close_all()
        time.sleep(wait)


def _count_crash(database: Database, function_id: int, executor_name: str, end: str) -> int:
    """How many processes have died in its body, this one included; 0 if it is not a mutation that is pending."""
    while True:
        row = _pending(database, function_id)
        if row is None:
            return 0
        count = row.crashes + 1
        changes = {
            "crashes": count,
            "attempts": row.attempts + 1,
            # The first time is mostly not its fault: somebody has ended the process.
            "due_time": backoff(count) if count > 1 else timedelta(0),
            "error": _error(executor_name, end, count),
        }
        if database.record(function_id, changes, only_if={"state": State.PENDING, "crashes": row.crashes}):
            return count


def _pending(database: Database, function_id: int) -> ScheduledFunction | None:
    rows = ScheduledFunction.objects.using(database.using)
    return rows.filter(pk=function_id, state=State.PENDING).only("crashes", "attempts").first()


def _culprit(crashes: dict[int, int]) -> int | None:
    most = max(crashes.values(), default=0)
    suspects = [function_id for function_id, count in crashes.items() if count == most]
    return suspects[0] if most >= TOO_MANY_CRASHES and len(suspects) == 1 else None


def _fail(database: Database, function_id: int, count: int, executor_name: str, end: str) -> None:
    changes = {
        "state": State.FAILED,
        "kind": Kind.MUTATION,
        "failure": Failure.CRASHED,
        "error": f"{_error(executor_name, end, count)} It is not run again: find out how its body ends a process.",
        "completed_time": NOW,
        "worker": executor_name,
    }
    if database.record(function_id, changes, only_if={"state": State.PENDING, "crashes": count}):
        rows = ScheduledFunction.objects.using(database.using)
        name, attempt = rows.values_list("name", "attempts").get(pk=function_id)
        tell_failed(
            database,
            function_id,
            name=name,
            kind=Kind.MUTATION,
            attempt=attempt,
            executor=executor_name,
            failure=Failure.CRASHED,
            reason=f"{count} processes have died while they executed it, the last one by {end}",
        )


def _error(executor_name: str, end: str, count: int) -> str:
    return (
        f"Crashed: the process of the executor {executor_name} ended ({end}) while it executed this mutation. That"
        f" was the {_ordinal(count)} time; nothing that it wrote remains."
    )


def _ordinal(number: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if number % 100 in (11, 12, 13) else endings.get(number % 10, 'th')}"
