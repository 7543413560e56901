"""Actions whose executor is gone are recorded as ``failed``, ``lost``, and never started again by themselves.

Only those that are declared ``idempotent`` are due again, as often as their ``Retry`` says (``repetition.py``).

The invariant: an action is recorded as lost only once its executor is known to be gone. Should that have been
wrong, still only one of the two ends is recorded, because each of them asks for ``in_progress``.

An executor is gone when its process is, which an executor in the same process space sees at its next look (every
``HEARTBEAT_INTERVAL``). A process that can be seen alive, and not only another one with its id, is never gone, however
silent: its body may hold SQLite's only lock, or the processor.

Any other executor is gone when it has written no heartbeat for ``HEARTBEAT_TIMEOUT``. But that counts only while
heartbeats could be written. The database may have been away, somebody may have locked the table of executors, or the
host of the observer, the executor that looks, may have been suspended. So an observer looks only right after it has
written its own heartbeat, on the same connection. An executor is gone whose heartbeat the observer has seen unchanged
for the whole timeout, while it wrote its own without a gap. After a gap, as at its start, all have the whole timeout
again. It measures that time by its own monotonic clock: the clocks of other hosts, and whether the database's clock has
been set, have no part in it.

The row of the executor is locked, compared and deleted in one transaction with the record of its actions: of several
observers, one does it. An executor that was taken for gone and is not registers again with its next heartbeat. What it
claims in between belongs to no executor on record, so such actions are given the same time.

Mutations need none of this: their lock went with their executor's connection.
"""

import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import BooleanField, Exists, QuerySet
from django.db.models.expressions import RawSQL

from django_scheduler.conf import get_settings
from django_scheduler.databases import Database
from django_scheduler.executor.answer_timeout import awaiting_each_answer
from django_scheduler.executor.heartbeat import Registration, is_alive, process_space
from django_scheduler.executor.repetition import Repetition, after_loss, announce_repetition
from django_scheduler.executor.session import executor_session, in_session
from django_scheduler.executor.threads import side_task
from django_scheduler.functions import registry
from django_scheduler.models import Executor, Failure, Kind, ScheduledFunction, State
from django_scheduler.record import EndOfAttempt, announce_failure_of_another, transitions, wakeup

NEVER = float("-inf")


class Recovery:
    """Finds executors that are gone, and records what they have left behind.

    The executor of the ``registration`` is the observer. ``note_waiting``: what to do when anything waits for a limit,
    which a look asks as well. A look is its heartbeat and one statement more, on the connection of a thread that does
    nothing else. What it finds is recorded by another thread on a connection of its own: that may take long, because
    receivers of signals are told, and the heartbeat has to be written meanwhile.
    """

    def __init__(self, database: Database, registration: Registration, note_waiting: Callable[[], None]) -> None:
        self._database = database
        self._note_waiting = note_waiting
        self._registration = registration
        #: When the heartbeat of the last look was written; ``NEVER``: it could not. All times here are by
        #: ``time.monotonic()``.
        self._written_at = NEVER
        #: When a look has written it last; at first when this executor has started.
        self._last_written_at = time.monotonic()
        #: Since when heartbeats, and actions without an executor, have been seen as they are.
        self._seen_since: dict[Hashable, float] = {}
        self._settled = threading.Event()
        self._when_settled: Callable[[], None] = lambda: None
        #: What the last look has found: executors that are gone, and why; and actions that are without an executor.
        self._gone: list[tuple[Executor, str]] = []
        self._ids_without_executor: list[int] = []
        self._has_found = threading.Event()

    def look(self) -> None:
        """Write the heartbeat, look at all executors, and have recorded what those that are gone have left."""
        try:
            is_on_record = self._write_heartbeat()
            without_executor = _without_executor(self._database).filter(state=State.IN_PROGRESS)
            some_wait = RawSQL(self._database.something_waits, [], output_field=BooleanField())
            executors = list(
                _executors(self._database).annotate(some_have_no_executor=Exists(without_executor), some_wait=some_wait)
            )
            if any(vars(each)["some_wait"] for each in executors):
                self._note_waiting()
            gone: list[tuple[Executor, str]] = [(each, _why_ended(each)) for each in executors if _has_ended(each)]
            ids: list[int] = []
            if is_on_record:
                others = [each for each in executors if not _has_ended(each) and not _can_be_seen_alive(each)]
                if any(vars(each)["some_have_no_executor"] for each in executors):
                    ids = list(without_executor.values_list("pk", flat=True))
                silent = self._that_stay_as_they_are([*map(_heartbeat, others), *ids])
                reason = f"its executor was silent for over {_timeout():g} seconds"
                gone += [(each, reason) for each in others if _heartbeat(each) in silent]
                ids = [each for each in ids if each in silent]
            self._gone, self._ids_without_executor = gone, ids
            if gone or ids:
                self._has_found.set()
            elif is_on_record:
                self._settle_without_suspects()
        finally:
            if time.monotonic() - self._last_written_at > _timeout():
                self.settle()  # it may never write one

    def side_tasks(self, stopping: threading.Event) -> list[threading.Thread]:
        """Return the threads that look, and that record, until ``stopping`` is set and ``stop`` is called."""
        # It waits for answers while it looks, and not until the next look.
        session = partial(executor_session, self._database, answer_timeout=self._registration.answer_timeout)

        def look() -> None:
            with awaiting_each_answer(self._database):
                self.look()

        def record() -> None:
            self._has_found.wait()
            if not stopping.is_set():
                in_session(self._database, self.record)()

        return [
            side_task("heartbeat", look, interval=_interval(), stopping=stopping, kept_session=session),
            side_task("recovery", record, interval=_interval(), stopping=stopping),
        ]

    def stop(self) -> None:
        """Wait for nothing more."""
        self.settle()
        self._has_found.set()

    def record(self) -> None:
        """Record what the last look has found. What fails is found again."""
        for executor, reason in self._gone:
            _remove(self._database, executor, reason)
        actions = _without_executor(self._database)
        found = actions.filter(self._database.is_in_state(State.IN_PROGRESS), pk__in=self._ids_without_executor)
        _record_lost(self._database, actions, found, "its executor is not on record")
        self._has_found.clear()
        self._settle_without_suspects()

    @property
    def is_settled(self) -> bool:
        """Return whether nothing keeps an executor that ends by itself any longer."""
        return self._settled.is_set()

    def when_settled(self, call: Callable[[], None]) -> None:
        """Have this called once nothing keeps an executor that ends by itself any longer."""
        self._when_settled = call

    def settle(self) -> None:
        """Do not keep an executor that ends by itself any longer."""
        if not self._settled.is_set():
            self._settled.set()
            self._when_settled()

    def wait_until_settled(self, timeout: float | None) -> bool:
        """Wait until no action is in progress of which it takes more time to tell whether it is lost.

        Return whether that is so. An executor that is not to end by itself is settled once it is told to stop.
        """
        return self._settled.wait(timeout)

    def _write_heartbeat(self) -> bool:
        """Write this executor's heartbeat, and return whether it was on record. After a gap, begin to observe anew."""
        before, self._written_at = self._written_at, NEVER
        if not self._registration.beat():
            return False  # another one has taken it for gone
        self._written_at = self._last_written_at = time.monotonic()
        # Later than it is due, but so little that others, who were late as well, are not near the timeout.
        longest = _interval() + (_timeout() - _interval()) / 4
        if self._written_at - before > longest:
            self._seen_since = {}
        return True

    def _that_stay_as_they_are(self, seen: Iterable[Hashable]) -> set[Hashable]:
        """Return what has been seen as it is for the whole timeout, while this executor wrote its heartbeats."""
        now = time.monotonic()
        self._seen_since = {each: self._seen_since.get(each, now) for each in seen}
        return {each for each, since in self._seen_since.items() if self._written_at - since >= _timeout()}

    def _settle_without_suspects(self) -> None:
        if not self._settled.is_set() and not self._has_suspects():
            self.settle()

    def _has_suspects(self) -> bool:
        """Return whether there are actions whose executor is not on record, or has been silent by the clock."""
        long_ago = self._database.ago(get_settings().HEARTBEAT_TIMEOUT)
        silent = _executors(self._database).filter(heartbeat_time__lt=long_ago)
        names = [each.name for each in silent if not _can_be_seen_alive(each)]
        suspects = _functions(self._database).filter(executor__in=names), _without_executor(self._database)
        return any(each.filter(state=State.IN_PROGRESS).exists() for each in suspects)


def recover_from_ended_processes(database: Database) -> None:
    """Record as lost what executors were executing whose processes are seen to have ended."""
    for executor in _executors(database):
        if _has_ended(executor):
            _remove(database, executor, _why_ended(executor))


def _has_ended(executor: Executor) -> bool:
    is_seen = executor.process_space == process_space()
    return is_seen and not is_alive(executor.process_id, executor.process_start)


def _why_ended(executor: Executor) -> str:
    return f"its process {executor.process_id} on {executor.host} has ended"


def record_lost(database: Database, executor_name: str, reason: str, *, is_gone: bool = True) -> bool:
    """Record as lost the actions that this executor is executing; those that are idempotent are due again.

    ``is_gone``: whether its bodies are known to have ended. If not, idempotent actions are left as they are. Return
    whether none was left.
    """
    actions = _functions(database).filter(executor=executor_name)
    return _record_lost(database, actions, actions.filter(state=State.IN_PROGRESS), reason, is_gone=is_gone)


def _remove(database: Database, executor: Executor, reason: str) -> None:
    """Delete the row of an executor, and record its actions as lost, unless it has written a heartbeat since."""
    with transaction.atomic(using=database.using):
        rows = _executors(database).filter(pk=executor.pk)
        locked = database.locking(rows, skip_locked=True, strongest=True).first()
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


def _record_lost(
    database: Database,
    actions: QuerySet[ScheduledFunction],
    found: QuerySet[ScheduledFunction],
    reason: str,
    *,
    is_gone: bool = True,
) -> bool:
    """Record as lost, or have due again, those of the actions that are found to be in progress."""
    error = (
        f"Lost: {reason} while the action was executing, so nobody knows how far it came. It is not started again by"
        " itself: look at what it has done, and schedule it again if that is right."
    )
    rows = list(found.values("pk", "name", "kind", "queue", "executor", "attempts", "failures", "history"))
    is_none_left = True
    some_are_repeated = False
    for row in rows:
        repetition = _repetition_of(database, row, reason)
        ids, among = [row["pk"]], actions.filter(attempts=row["attempts"])
        end = EndOfAttempt(
            function_id=row["pk"],
            name=row["name"],
            kind=Kind.ACTION.value,
            queue=row["queue"],
            attempt=row["attempts"],
            executor=row["executor"],
            using=database.using,
            state=State.FAILED.value,
            failure=Failure.LOST.value,
        )
        if repetition is None:
            if transitions.LOSE.apply_to_rows(database, ids, {"error": error}, among=among):
                announce_failure_of_another(end, reason=reason)
        elif not is_gone:
            is_none_left = False
        elif transitions.RETRY_BEGUN.apply_to_rows(database, ids, repetition.changes, among=among):
            failed = end._replace(state=State.PENDING.value)
            announcement = partial(announce_repetition, failed, repetition, repetition.changes["error"])
            transaction.on_commit(announcement, using=database.using, robust=True)
            some_are_repeated = True
    if some_are_repeated:
        wakeup.send_after_commit(database.using)
    return is_none_left


def _repetition_of(database: Database, row: Mapping[str, Any], reason: str) -> Repetition | None:
    """Return how an action is repeated whose executor is gone; ``None``: not at all, as far as this process knows."""
    function = registry.find_recorded(row["name"], row["kind"])
    if function is None or not function.idempotent:
        return None
    return after_loss(function, row, reason, database.current_time())


def _executors(database: Database) -> QuerySet[Executor]:
    return Executor.objects.using(database.using)


def _without_executor(database: Database) -> QuerySet[ScheduledFunction]:
    """Return the functions whose executor is not on record."""
    return _functions(database).exclude(executor__in=_executors(database).values("pk"))


def _functions(database: Database) -> QuerySet[ScheduledFunction]:
    return ScheduledFunction.objects.using(database.using)
