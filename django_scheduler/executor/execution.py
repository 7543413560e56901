"""An execution does what has to be done with what a worker has claimed, at three moments.

``in_transaction`` is called while the rows are locked, and then ``after_commit`` or ``after_rollback``. What happens
there depends on what was claimed: ``mutation.py``, ``action.py`` and ``grouping.py`` say it for functions that exist,
whose bodies ``body.py`` calls; ``unexecutable.py`` says it for what this process cannot execute. What all of them need
is here: how a function that was claimed appears on record, in the log and to receivers of signals.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import DatabaseError, InterfaceError, transaction
from django.utils import timezone

from django_scheduler.conf import get_settings
from django_scheduler.databases import Claimable, Database, django_internals, uses_pythons_clock
from django_scheduler.executor.answer_timeout import awaiting_answer, awaiting_nothing
from django_scheduler.executor.session import replace_session
from django_scheduler.masking import mask_with_arguments
from django_scheduler.models import Failure, Kind, ScheduledFunction, ScheduledFunctionId, State
from django_scheduler.record import (
    EarlierAttempts,
    EndOfAttempt,
    FollowedFunction,
    Transition,
    announce,
    forget_traceback,
    in_ascii,
    in_plain_words,
    let_in,
    read_earlier_attempts,
)
from django_scheduler.telemetry import log_of_executors as log
from django_scheduler.transactions import DoublingWait

#: How often the record of an end is tried again at once because somebody else was changing the row.
MOST_CONFLICTS = 10


def has_expired(claimed: Claimable, database: Database, seconds: float = 0.0) -> bool:
    """Return whether it has not begun, and may not any more, by the clock that says what is due.

    ``seconds``: how long ago it was claimed.
    """
    if claimed.expires_time is None or claimed.attempts:
        return False
    return database.elapsed(claimed.expires_time, claimed.claim_time) >= -timedelta(seconds=seconds)


class Execution(ABC):
    """Does what has to be done with rows that a worker has locked, in that transaction and after it."""

    #: Lets another worker take the claim lock before this execution ends; the worker sets it.
    release_claim_lock: Callable[[], None] = staticmethod(lambda: None)

    #: For how long its worker keeps the claim lock once it has begun, in seconds, if it does not release it before.
    keeps_claim_lock_for = 0.0

    #: Whether its transaction has others wait for their rate limits.
    has_others_wait = False

    @property
    def is_given_up(self) -> bool:
        """Return whether a body has not ended although its time was up, and is no longer waited for."""
        return False

    @property
    def is_async(self) -> bool:
        """Return whether it needs the event loop of this process."""
        return False

    @property
    def blocks_event_loop(self) -> bool:
        """Return whether its body, which is given up, keeps the event loop from running any other."""
        return False

    @property
    @abstractmethod
    def ids(self) -> Collection[ScheduledFunctionId]:
        """Return the functions that it executes."""

    @property
    @abstractmethod
    def begun(self) -> "Sequence[SingleExecution]":
        """Return the executions of those functions that have begun."""

    @property
    def chosen(self) -> "Sequence[SingleExecution]":
        """Return the executions of those functions that are about to begin."""
        return self.begun

    def only(self, members: "Sequence[SingleExecution]") -> "Execution":
        """Return the execution of these alone, of several that are about to begin."""
        raise NotImplementedError  # it is one

    @abstractmethod
    def in_transaction(self) -> None:
        """Do what is done while the row is locked. An exception rolls the transaction back."""

    @abstractmethod
    def after_commit(self) -> None:
        """Do what is done once that transaction has committed."""

    @abstractmethod
    def after_rollback(self, error: BaseException) -> None:
        """Do what is done once ``error`` has ended it: it is rolled back, unless its COMMIT got no answer."""


class SingleExecution(Execution):
    """Executes one function."""

    #: The function's kind, or ``None`` if there is no such function.
    kind: Kind | None = None

    #: What is to end this process, as the handler of a signal raises it, if it has come outside of the body.
    stop_request: BaseException | None = None

    #: Whether the function was left to executors with other code.
    is_left = False

    #: Whether another attempt follows this one.
    is_repeated = False

    #: By what text the limit of its bodies is known; ``None``: there is none. And whether others wait for that.
    limit: str | None = None
    others_wait = False

    #: By what text the limit is known whose functions begin in the order of their due times, if that is such a one.
    in_order_of: str | None = None

    #: By what text its rate limit is known.
    rate_limit: str | None = None

    #: How long it had been due when it was claimed for the first time, if that was for another transaction, in seconds.
    lag_before = 0.0

    #: What is on record of the attempts before; ``None``: it was not read.
    _earlier_attempts: EarlierAttempts | None = None

    #: Whether a try to record the end has failed, so that it is not known whether it has taken effect.
    _may_be_recorded = False

    def __init__(self, claimed: Claimable, database: Database, executor_name: str) -> None:
        self.claimed = claimed
        self.database = database
        self.executor_name = executor_name
        self.id = claimed.id
        self.name = claimed.name
        #: Which attempt this is, counted from 1.
        self.attempt = claimed.attempts + 1
        self._claimed_at = self.began = time.perf_counter()
        self._took: float | None = None

    def begin(self, now: float) -> None:
        """Note that its body begins only now, by ``time.perf_counter()``, because other bodies have run before."""
        self.began = now

    def end(self) -> float:
        """Note that its body has ended, because other bodies follow, and return the time."""
        now = time.perf_counter()
        self._took = now - self.began
        return now

    @property
    def lag(self) -> float:
        """Return how long it had been due when its body began, in seconds."""
        return self.lag_before + self.claimed.lag + self.began - self._claimed_at

    @property
    def duration(self) -> float:
        """Return how long the attempt has taken, in seconds."""
        return self._took if self._took is not None else time.perf_counter() - self.began

    @property
    def ids(self) -> Collection[ScheduledFunctionId]:
        return [self.id]

    @property
    def begun(self) -> "Sequence[SingleExecution]":
        return [self]

    @property
    def present(self) -> datetime:
        """Return the present by the clock that says what is due, without asking it."""
        if uses_pythons_clock():
            return timezone.now()
        passed = timedelta(seconds=time.perf_counter() - self._claimed_at)
        return self.database.instant(self.claimed.claim_time) + passed

    def earlier_attempts(self) -> EarlierAttempts:
        """Return what is on record of the attempts before this one, read once; nothing is read for a first attempt."""
        if self._earlier_attempts is None:
            if self.claimed.attempts:
                with awaiting_answer():
                    self._earlier_attempts = read_earlier_attempts(self.database, self.id)
            else:
                self._earlier_attempts = EarlierAttempts()
        return self._earlier_attempts

    @property
    def may_be_left(self) -> bool:
        """Return whether executors with other code still have time to execute it, if this one cannot."""
        since = self.claimed.unknown_since
        waited = self.database.elapsed(since, self.claimed.claim_time) if since else timedelta(0)
        return waited < get_settings().UNKNOWN_FUNCTION_GRACE

    @property
    def attempt_on_record(self) -> dict[str, Any]:
        """Return the columns that say which attempt it was, when it began and whose it was."""
        return {
            "started_time": self.claimed.claim_time,
            "attempts": self.attempt,
            "executor": self.executor_name,
        }

    @property
    def followed(self) -> FollowedFunction | None:
        """Return what its end needs to know of it, if anything follows that."""
        claimed = self.claimed
        if claimed.callbacks is None and claimed.batch_id is None:
            return None
        return FollowedFunction(self.id, self.name, self.attempt, claimed.context, claimed.callbacks, claimed.batch_id)

    @property
    def seen(self) -> dict[str, Any]:
        """Return what tells whether a pending row still is what was claimed, once it is not locked any more."""
        claimed = self.claimed
        return {"attempts": claimed.attempts, "absorbed": claimed.absorbed, "due_time": claimed.due_time}

    def record(
        self,
        transition: Transition,
        changes: dict[str, Any],
        *,
        seen: dict[str, Any],
        unless_held: bool = False,
    ) -> bool:
        """Record the end of the attempt, outside of a transaction, and return whether nobody else has decided since.

        What this session cannot record is recorded on a new one, whatever the body has made of this one; and what the
        database refuses there too, in plain words. Raises the last error.
        """
        tries = [changes, changes, in_ascii(changes), in_plain_words(changes)]
        number = conflicts = 0
        while True:
            try:
                with awaiting_answer():
                    is_recorded = self._apply(transition, tries[number], seen=seen, unless_held=unless_held)
                # Perhaps an earlier try has taken effect, and only its answer was lost.
                return is_recorded or (self._may_be_recorded and self._is_on_record(transition, {**seen, **changes}))
            except BaseException as error:
                self.note_stop_request(error)
                if self.database.is_conflict(error) and conflicts < MOST_CONFLICTS:
                    conflicts += 1  # somebody else has changed the row meanwhile: look again
                    continue
                self._may_be_recorded = True
                if number == len(tries) - 1 or (number > 0 and self.database.is_transient(error)):
                    raise
                number += 1
                self.log(
                    logging.WARNING, "its end could not be recorded, and is tried again on a new session: %s", error
                )
                replace_session(self.database.using)

    def _apply(
        self, transition: Transition, changes: dict[str, Any], *, seen: dict[str, Any], unless_held: bool
    ) -> bool:
        """Change the row, and let in who waits for the limit, in one transaction."""
        apply = partial(transition.apply, self.database, self.id, changes, seen=seen, followed=self.followed)
        if not self.others_wait:
            return apply(unless_held=unless_held)
        with transaction.atomic(using=self.database.using):
            self.let_next_in()  # before it counts for its batch, on which others wait, in MySQL with locks of the index
            return apply(unless_held=unless_held)

    def let_next_in(self, number: int = 1) -> None:
        """Let in so many of those that wait for the limit, as part of the open transaction."""
        if self.limit is not None and self.others_wait:
            let_in(self.database, {self.limit: number})

    def note_stop_request(self, error: BaseException) -> None:
        """Remember that a signal has come, if this is how its handler has said so."""
        if not isinstance(error, Exception):
            self.stop_request = error

    def _is_on_record(self, transition: Transition, columns: dict[str, Any]) -> bool:
        row = self.current_row()
        is_ours = all(row[each] == columns[each] for each in row.keys() & columns.keys())
        return is_ours and row.get("state") == transition.target

    @awaiting_answer()
    def current_row(self) -> dict[str, Any]:
        """Return what the record says now, or an empty dict if it is gone."""
        rows = ScheduledFunction.objects.using(self.database.using).filter(pk=self.id)
        row = rows.values("state", "executor", "attempts").first()
        return dict(row) if row else {}

    def has_recorded(self, state: State) -> bool:
        """Return whether the record says this state now, and that it is of this executor."""
        row = self.current_row()
        return row.get("state") == state and row.get("executor") == self.executor_name

    def until_answered(
        self,
        ask: Callable[[], bool],
        problem: str,
        *,
        gives_up_on: Callable[[BaseException], bool] = lambda error: False,
        longest: float = 2.0,
    ) -> bool:
        """Ask the database until it answers, on a new connection after each failure.

        It waits for ``longest`` seconds at most in between. Raises an error that it ``gives_up_on``, and all that are
        not the database's.
        """
        waits = DoublingWait(first=0.1, longest=longest)
        while True:
            try:
                with awaiting_answer():
                    return ask()
            except (DatabaseError, InterfaceError) as error:
                if gives_up_on(error):
                    raise
                wait = waits.next()
                self.log(logging.WARNING, "%s, trying again in %.1f s: %s", problem, wait, error)
                django_internals.discard(self.database.connection)
            with awaiting_nothing():
                time.sleep(wait)

    def announce(
        self, state: State, failure: Failure | None = None, error: BaseException | None = None, *, detail: str = ""
    ) -> None:
        """Announce how the function has ended, which is on record; ``detail``: what the log says of the failure."""
        announce(self.as_end(state, failure), error=error, detail=detail, mask=self.mask)

    def as_end(self, state: State, failure: Failure | None = None) -> EndOfAttempt:
        """Return what is told of how the function has ended."""
        return EndOfAttempt(  # in the order of its fields: 0.3 µs, by their names 0.7, and of a dictionary 1.1
            self.id,
            self.name,
            self.kind.value if self.kind else "",
            self.claimed.queue,
            self.attempt,
            self.executor_name,
            self.database.using,
            state.value,
            failure.value if failure else "",
            self.lag,
            self.duration,
        )

    def mask(self, text: str) -> str:
        """Hide in the text of an error what is secret among the arguments, and what looks like it."""
        return mask_with_arguments(self.name, text, self.claimed.args)

    def forget(self, error: BaseException) -> None:
        """Keep nothing of where an error of the project's was raised, now that it is on record or in the log."""
        forget_traceback(error)

    def log(
        self, level: int, message: str, *arguments: object, error: BaseException | None = None, **extra: Any
    ) -> None:
        """Log a message about the function, which its name and id begin."""
        log(
            level,
            f"%s %s: {message}",
            self.name,
            self.id,
            *arguments,
            error=error,
            mask=self.mask,
            function=self.name,
            function_id=self.id,
            queue=self.claimed.queue,
            attempt=self.attempt,
            executor=self.executor_name,
            lag=self.lag,
            duration=self.duration,
            **extra,
        )
