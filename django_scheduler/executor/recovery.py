"""Actions whose executor is gone are recorded as ``failed``, ``lost``, and never started again by themselves.

The invariant: an action is recorded as lost only once its executor is known to be gone. Should that have been
wrong, still only one of the two ends is recorded, because each of them asks for ``in_progress``.

An executor is gone when its process is, which an executor in the same process space sees at its next look (every
``HEARTBEAT_INTERVAL``). A process that can be seen alive, and not only another one with its id, is never gone, however
silent: its body may hold SQLite's only lock, or the processor.

Any other executor is gone when it has written no heartbeat for ``HEARTBEAT_TIMEOUT``. But that counts only while
heartbeats could be written. The database may have been away, somebody may have locked the table of executors, or the
host of the observer, the executor that looks, may have been suspended. So an observer writes its own heartbeat at every
look, before it looks at those of others. An executor is gone whose heartbeat the observer has seen unchanged for the
whole timeout, while it wrote its own without a gap. After a gap, as at its start, all have the whole timeout again. It
measures that time by its own monotonic clock: the clocks of other hosts, and whether the database's clock has been set,
have no part in it.

The row of the executor is locked, compared and deleted in one transaction with the record of its actions: of several
observers, one does it. An executor that was taken for gone and is not registers again with its next heartbeat. What it
claims in between belongs to no executor on record, so such actions are given the same time.

Mutations need none of this: their lock went with their executor's connection.
"""

import threading
import time
from collections.abc import Hashable, Iterable

from django.db import connections, transaction
from django.db.models import QuerySet

from django_scheduler.conf import get_settings
from django_scheduler.databases import Database
from django_scheduler.executor.heartbeat import Registration, is_alive, process_space
from django_scheduler.models import Executor, Failure, Kind, ScheduledFunction, State
from django_scheduler.record import End, announce_failure_of_another, transitions

NEVER = float("-inf")


class Recovery:
    """Records what executors that are gone have left behind. The executor of the ``registration`` is the observer."""

    def __init__(self, database: Database, registration: Registration) -> None:
        self._database = database
        self._registration = registration
        #: When the last look has written this executor's own heartbeat; ``NEVER``: it could not. All times here are by
        #: ``time.monotonic()``.
        self._written_at = NEVER
        #: When a look has written it last; at first when this executor has started.
        self._last_written_at = time.monotonic()
        #: Since when heartbeats, and actions without an executor, have been seen as they are.
        self._seen_since: dict[Hashable, float] = {}
        self._settled = threading.Event()

    def look(self) -> None:
        """Look at all executors, and record the actions of those that are known by now to be gone."""
        try:
            is_on_record = self._write_heartbeat()
            executors = recover_from_ended_processes(self._database)
            if is_on_record:
                self._record_lost_after_silence([each for each in executors if not _can_be_seen_alive(each)])
        finally:
            if time.monotonic() - self._last_written_at > _timeout():
                self.settle()  # it may never write one

    def settle(self) -> None:
        """Do not keep an executor that ends by itself any longer."""
        self._settled.set()

    def wait_until_settled(self, timeout: float | None) -> bool:
        """Wait until no action is in progress of which it takes more time to tell whether it is lost.

        Return whether that is so. An executor that is not to end by itself is settled once it is told to stop.
        """
        return self._settled.wait(timeout)

    def _write_heartbeat(self) -> bool:
        """Write this executor's heartbeat, and return whether it is on record. After a gap, begin to observe anew."""
        before, self._written_at = self._written_at, NEVER
        if not self._registration.write_heartbeat():
            return False  # another one has taken it for gone; it registers again with its next heartbeat
        self._written_at = self._last_written_at = time.monotonic()
        # Later than it is due, but so little that others, who were late as well, are not near the timeout.
        longest = _interval() + (_timeout() - _interval()) / 4
        if self._written_at - before > longest:
            self._seen_since = {}
        return True

    def _record_lost_after_silence(self, executors: list[Executor]) -> None:
        ids = list(self._without_executor().values_list("pk", flat=True))
        silent = self._that_stay_as_they_are([*map(_heartbeat, executors), *ids])
        for executor in executors:
            if _heartbeat(executor) in silent:
                _remove(self._database, executor, f"its executor was silent for over {_timeout():g} seconds")
        lost = self._without_executor().filter(pk__in=[each for each in ids if each in silent])
        _record_lost(self._database, lost, "its executor is not on record")
        if not self._settled.is_set() and not self._has_suspects():
            self.settle()

    def _that_stay_as_they_are(self, seen: Iterable[Hashable]) -> set[Hashable]:
        """Return what has been seen as it is for the whole timeout, while this executor wrote its heartbeats."""
        now = time.monotonic()
        self._seen_since = {each: self._seen_since.get(each, now) for each in seen}
        return {each for each, since in self._seen_since.items() if self._written_at - since >= _timeout()}

    def _has_suspects(self) -> bool:
        """Return whether there are actions whose executor is not on record, or has been silent by the clock."""
        long_ago = self._database.ago(get_settings().HEARTBEAT_TIMEOUT)
        silent = _executors(self._database).filter(heartbeat_time__lt=long_ago)
        names = [each.name for each in silent if not _can_be_seen_alive(each)]
        return _in_progress(self._database).filter(executor__in=names).exists() or self._without_executor().exists()

    def _without_executor(self) -> QuerySet[ScheduledFunction]:
        return _in_progress(self._database).exclude(executor__in=_executors(self._database).values("pk"))


def recover_from_ended_processes(database: Database) -> list[Executor]:
    """Record as lost what executors were executing whose processes are seen to have ended, and return all others."""
    others = []
    for executor in _executors(database):
        if executor.process_space != process_space() or is_alive(executor.process_id, executor.process_start):
            others.append(executor)
        else:
            _remove(database, executor, f"its process {executor.process_id} on {executor.host} has ended")
    return others


def record_lost(database: Database, executor_name: str, reason: str) -> None:
    """Record as lost the actions that this executor is executing."""
    _record_lost(database, _in_progress(database).filter(executor=executor_name), reason)


def _remove(database: Database, executor: Executor, reason: str) -> None:
    """Delete the row of an executor, and record its actions as lost, unless its heart has beaten since it was read."""
    skip_locked = connections[database.using].features.has_select_for_update_skip_locked
    with transaction.atomic(using=database.using):
        rows = _executors(database).filter(pk=executor.pk).select_for_update(skip_locked=skip_locked)
        locked = rows.first()
        if locked is not None and locked.heartbeat_time == executor.heartbeat_time:
            record_lost(database, executor.name, reason)
            locked.delete()


def _can_be_seen_alive(executor: Executor) -> bool:
    # Where the start of a process cannot be known, this one may have been given an old id.
    return bool(
        executor.process_space == process_space()
        and executor.process_start
        and is_alive(executor.process_id, executor.process_start)
    )


def _heartbeat(executor: Executor) -> Hashable:
    return executor.name, executor.heartbeat_time


def _timeout() -> float:
    return get_settings().HEARTBEAT_TIMEOUT.total_seconds()


def _interval() -> float:
    return get_settings().HEARTBEAT_INTERVAL.total_seconds()


def _record_lost(database: Database, actions: QuerySet[ScheduledFunction], reason: str) -> None:
    error = (
        f"Lost: {reason} while the action was executing, so nobody knows how far it came. It is not started again by"
        " itself: look at what it has done, and schedule it again if that is right."
    )
    columns = ("pk", "name", "queue", "executor", "attempts")
    for pk, name, queue, executor, attempt in list(actions.values_list(*columns)):
        if transitions.LOSE.apply_to_rows(database, actions.filter(pk=pk), {"error": error}):
            end = End(
                function_id=pk,
                name=name,
                kind=Kind.ACTION.value,
                queue=queue,
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
