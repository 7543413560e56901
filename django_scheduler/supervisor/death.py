"""Record what a process that has died leaves behind.

Its actions are recorded as lost, and the row of its executor is removed, as ``executor/recovery.py`` does it: the
supervisor only does so at once.

Its mutations have vanished with their transactions, and the next executor claims them again. But one of those whose
bodies were running may have killed the process, and would kill the next one too. So the row of each of them counts the
processes that died in its body, which outlives this supervisor as well; and a mutation fails in whose body three
have died. Which one, where several were running? One that runs for long may be in its body each time, and not be the
cause. So a mutation fails only if its count is higher than those of all others that were running this time. Until then
they are due again: at once after the first time, then after random waits that may be longer each time. So they run at
the same time less and less.

Another executor may execute the row before it is counted. Then the count waits for its lock, and finds either that the
mutation has succeeded, or that it is still pending, and adds this process to the count.
"""

import logging
import time
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta

from django.db import DatabaseError, InterfaceError

from django_scheduler.databases import Database
from django_scheduler.executor import recover_from_ended_processes, run_in_background, session_of_side_task
from django_scheduler.models import FAR, Failure, Kind, ScheduledFunction, State
from django_scheduler.record import EndOfAttempt, announce_failure_of_another, earlier_attempts, transitions
from django_scheduler.telemetry import log_of_executors as log
from django_scheduler.transactions import DoublingWait, backoff

#: After so many processes have died in its body, a mutation is not run again.
TOO_MANY_CRASHES = 3

#: How long the log of a death waits for the names of functions, in seconds.
NAMES_TIMEOUT = 1.0


def names_of(database: Database, ids: Collection[int]) -> list[str]:
    """Return functions with their names, "orders:archive_order 7", as far as the database answers within a moment."""
    names: dict[int, str] = {}

    def read() -> None:
        rows = ScheduledFunction.objects.using(database.using).filter(pk__in=ids)
        names.update(rows.values_list("pk", "name"))

    if ids:
        with suppress(DatabaseError, InterfaceError, TimeoutError):
            run_in_background(read, timeout=NAMES_TIMEOUT)
    return [f"{names.get(each, 'function')} {each}" for each in sorted(ids)]


def record_death(database: Database, executor_name: str, in_body: Collection[int], end: str) -> None:
    """Record the death of an executor's process, and try again until the database takes it.

    ``in_body``: the functions whose bodies were running. ``end``: how the process ended, in words.
    """
    uncounted = set(in_body)
    crashes: dict[int, int] = {}
    waits = DoublingWait(first=0.2, longest=2.0)
    while True:
        try:
            with session_of_side_task(database):
                recover_from_ended_processes(database)
                for function_id in sorted(uncounted):
                    if count := _count_crash(database, function_id, executor_name, end):
                        crashes[function_id] = count
                    uncounted.discard(function_id)
                if culprit := _culprit(crashes):
                    _fail(database, culprit, crashes[culprit], executor_name, end)
                return
        except (DatabaseError, InterfaceError) as error:
            wait = waits.next()
            message = "What the ended executor %s has left behind could not be recorded yet, trying again in %.1f s: %s"
            log(logging.WARNING, message, executor_name, wait, error, executor=executor_name)
        time.sleep(wait)


def _count_crash(database: Database, function_id: int, executor_name: str, end: str) -> int:
    """Count this process, and return how many have died in the body; 0 if it is no pending mutation."""
    while True:
        # An action that is pending again, because it is idempotent, bears the name of the executor that had begun it.
        rows = ScheduledFunction.objects.using(database.using).filter(pk=function_id, executor="")
        row = (
            rows.filter(database.is_in_state(State.PENDING))
            .values("crashes", "attempts", "failures", "history", "due_time", "waiting_since", "error")
            .first()
        )
        if row is None:
            return 0
        if row["error"] == _error(executor_name, end, row["crashes"]):
            return row["crashes"]  # It was counted before, and only the database's answer was lost.
        count = row["crashes"] + 1
        error = _error(executor_name, end, count)
        present = database.current_time()
        # Somebody may have moved it meanwhile, or had it wait for a limit: then it is due again, and finds that out.
        due = row["waiting_since"] or present if row["due_time"] == FAR else row["due_time"]
        # The first time it is mostly not the cause: the process was killed from outside.
        wait = backoff(count) if count > 1 else timedelta(0)
        now = earlier_attempts(row).followed_by(time=present, executor=executor_name, error=error, has_failed=False)
        changes = {
            "crashes": count,
            "attempts": row["attempts"] + 1,
            "due_time": max(due, present + wait),
            "error": error,
            "history": now.history,
        }
        if transitions.COUNT_CRASH.apply(database, function_id, changes, seen={"crashes": row["crashes"]}):
            return count


def _culprit(crashes: dict[int, int]) -> int | None:
    """Return the mutation that has killed the processes, if there have been enough of them to tell."""
    most = max(crashes.values(), default=0)
    suspects = [function_id for function_id, count in crashes.items() if count == most]
    return suspects[0] if most >= TOO_MANY_CRASHES and len(suspects) == 1 else None


def _fail(database: Database, function_id: int, count: int, executor_name: str, end: str) -> None:
    changes = {
        "error": f"{_error(executor_name, end, count)} It is not run again: find out how its body ends a process.",
        "executor": executor_name,
    }
    rows = ScheduledFunction.objects.using(database.using)
    rows_here = rows.filter(crashes=count)
    is_recorded = transitions.FAIL_CRASHED.apply_to_rows(database, [function_id], changes, among=rows_here)
    # Or it was recorded before, and only the database's answer was lost: then nothing has been announced.
    if is_recorded or rows.filter(pk=function_id, state=State.FAILED, error=changes["error"]).exists():
        name, queue, attempt = rows.values_list("name", "queue", "attempts").get(pk=function_id)
        crashed = EndOfAttempt(
            function_id=function_id,
            name=name,
            kind=Kind.MUTATION.value,
            queue=queue,
            attempt=attempt,
            executor=executor_name,
            using=database.using,
            state=State.FAILED.value,
            failure=Failure.CRASHED.value,
        )
        reason = f"{count} processes have died while they executed it, the last one by {end}"
        announce_failure_of_another(crashed, reason=reason)


def _error(executor_name: str, end: str, count: int) -> str:
    return (
        f"Crashed: the process of the executor {executor_name} ended ({end}) while it executed this mutation. That"
        f" was the {_ordinal(count)} time; nothing that it wrote remains."
    )


def _ordinal(number: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if number % 100 in (11, 12, 13) else endings.get(number % 10, 'th')}"
