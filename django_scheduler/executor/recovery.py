"""Actions whose executor is gone are recorded as ``failed``, ``lost``, and never started again by themselves.

The invariant: an action is recorded as lost only once its executor is known to be gone. Should that have been
wrong, still only one of the two ends is recorded, because each of them asks for ``in_progress``.

An executor is gone when its process is, which an executor in the same process space sees at its next look (every
``HEARTBEAT_INTERVAL``), or when its heartbeat has been silent for longer than ``HEARTBEAT_TIMEOUT``, by the database's
clock. A process that can be seen
alive, and not only another one with its id, is never gone, however silent: its body may hold SQLite's only lock, or
the processor.

Its row is locked, judged and deleted in one transaction with the record of its actions: of several executors that
notice, one does it. An executor that was thought to be gone and is not registers again with its
next heartbeat. What it claims in between belongs to no executor on record, so such actions are given the same time.

Mutations need none of this: their lock went with their executor's connection.
"""

from django.db import connections, transaction
from django.db.models import QuerySet

from django_scheduler.conf import get_settings
from django_scheduler.databases import Database
from django_scheduler.executor.heartbeat import is_alive, process_space
from django_scheduler.models import Executor, Failure, Kind, ScheduledFunction, State
from django_scheduler.record import End, announce_failure_of_another, transitions


def recover_lost_actions(database: Database) -> None:
    """Record as lost what executors that are gone were executing."""
    for name in list(_executors(database).values_list("pk", flat=True)):
        _remove_if_gone(database, name)
    without_executor = _in_progress(database).exclude(executor__in=_executors(database).values("pk"))
    long_ago = database.ago(get_settings().HEARTBEAT_TIMEOUT)
    _record_lost(database, without_executor.filter(started_time__lt=long_ago), "its executor is not on record")


def record_lost(database: Database, executor_name: str, reason: str) -> None:
    """Record as lost the actions that this executor is executing."""
    _record_lost(database, _in_progress(database).filter(executor=executor_name), reason)


def _remove_if_gone(database: Database, name: str) -> None:
    skip_locked = connections[database.using].features.has_select_for_update_skip_locked
    with transaction.atomic(using=database.using):
        rows = _executors(database).filter(pk=name).select_for_update(skip_locked=skip_locked)
        executor = rows.first()
        if executor is not None and (reason := _why_gone(database, executor)):
            record_lost(database, name, reason)
            executor.delete()


def _why_gone(database: Database, executor: Executor) -> str | None:
    if executor.process_space == process_space():
        if not is_alive(executor.process_id, executor.process_start):
            return f"its process {executor.process_id} on {executor.host} has ended"
        if executor.process_start:
            return None
        # Where the start of a process cannot be known, this one may have been given an old id.
    timeout = get_settings().HEARTBEAT_TIMEOUT
    silent = _executors(database).filter(pk=executor.pk, heartbeat_time__lt=database.ago(timeout))
    return f"its executor was silent for over {timeout.total_seconds():g} seconds" if silent.exists() else None


def _record_lost(database: Database, actions: QuerySet[ScheduledFunction], reason: str) -> None:
    error = (
        f"Lost: {reason} while the action was executing, so nobody knows how far it came. It is not started again by"
        " itself: look at what it has done, and schedule it again if that is right."
    )
    for pk, name, executor, attempt in list(actions.values_list("pk", "name", "executor", "attempts")):
        if transitions.LOSE.apply_to_rows(database, actions.filter(pk=pk), {"error": error}):
            end = End(
                function_id=pk,
                name=name,
                kind=Kind.ACTION.value,
                attempt=attempt,
                executor=executor,
                using=database.using,
                state=State.FAILED.value,
                failure=Failure.LOST.value,
            )
            announce_failure_of_another(end, reason=reason)


def _executors(database: Database) -> QuerySet[Executor]:
    return Executor.objects.using(database.using)


def _in_progress(database: Database) -> QuerySet[ScheduledFunction]:
    return ScheduledFunction.objects.using(database.using).filter(state=State.IN_PROGRESS)
