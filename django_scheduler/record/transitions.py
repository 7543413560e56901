"""The state machine: every change of a row's ``state`` or ``due_time`` after its insert is one of these transitions.

A row is inserted ``pending``, or ``canceled`` if the action that schedules it has been canceled. From then on:

===================  =======================  ===========  ===================================================
transition           from                     to           when
===================  =======================  ===========  ===================================================
``BEGIN``            pending                  in_progress  an action has been claimed; then its body runs
``SUCCEED``          pending                  success      a mutation's body has returned, in its transaction
``RETRY``            pending                  pending      an attempt of a mutation is to be followed by another one
``FAIL``             pending                  failed       a mutation has raised, or its time was up
``MISS``             pending                  failed       the code has no function of that name
``LEAVE``            pending                  pending      this code cannot execute it, but other code may
``COUNT_CRASH``      pending                  pending      a process has ended in the body of a mutation
``FAIL_CRASHED``     pending                  failed       that has happened too often
``HAND_OVER``        pending                  pending      a fleet is about to be sent the function
``RESCHEDULE``       pending                  pending      somebody wants it to run at another time
``KEEP``             pending                  pending      a call with its key leaves it as it is
``REPLACE``          pending                  pending      a call with its key takes its place
``RETRY_BEGUN``      in_progress              pending      an attempt of an action is to be followed by another one
``LEAVE_BEGUN``      in_progress              pending      this code refuses the arguments of an action
``END``              in_progress              success      an action's body has returned
``END_FAILED``       in_progress              failed       an action has raised, or its time was up
``LOSE``             in_progress              failed       the executor of an action is gone
``CANCEL``           pending, in_progress     canceled     somebody has canceled the function
``EXPIRE``           pending                  canceled     it had not begun when it expired
``WAIT``             pending                  pending      it is due, and its limit has no slot left
``LET_IN``           pending                  pending      its limit has, or may have, a slot again
===================  =======================  ===========  ===================================================

Each is one conditional UPDATE, which asks for the state that it starts from, and for what else its caller has seen of
the row. So of two that compete for a row one wins, and the other one changes nothing and is told so. What has reached
``success``, ``failed`` or ``canceled`` never changes again; in the end it is deleted (``retention.py``).

What follows an end is scheduled in the transaction that records it (``ends.py``), so whoever applies a transition
to an end says what is ``followed``. And the process that has recorded ``success`` or ``failed`` announces it once it
is committed (``announcing.py``), and the one that has rescheduled a function wakes the executors. Only
``scheduling/cancellation.py`` cancels.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact

from django_scheduler.databases import DUE_BEFORE, NOW, Database
from django_scheduler.models import UNFINISHED, Failure, Kind, ScheduledFunction, State
from django_scheduler.record.callbacks import as_text
from django_scheduler.record.ends import FollowedFunction, follow
from django_scheduler.record.outcomes import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """Changes a row from some states to one state."""

    sources: tuple[State, ...]
    target: State
    #: The columns that the caller gives, all of them.
    writes: frozenset[str] = frozenset()
    #: What is written as well, each time the same.
    sets: Mapping[str, Any] = field(default_factory=dict)
    #: The columns that must still be what the caller has seen.
    compares: frozenset[str] = frozenset()

    @property
    def is_end(self) -> bool:
        return self.target not in UNFINISHED

    def apply(
        self,
        database: Database,
        function_id: int,
        changes: Mapping[str, Any],
        *,
        seen: Mapping[str, Any] | None = None,
        unless_held: bool = False,
        followed: FollowedFunction | None = None,
    ) -> bool:
        """Change a row if nobody else has decided since, and return whether it was changed.

        A value may be ``NOW``; that of ``due_time`` is a time, or a ``timedelta`` from now. ``unless_held``: do not
        wait for long for a transaction that has locked the row, where the database can tell that. ``followed``:
        something follows its end, in case that this is its end.
        """
        assert changes.keys() == self.writes, f"{sorted(changes)} instead of {sorted(self.writes)}"
        seen = seen or {}
        assert seen.keys() == self.compares, f"{sorted(seen)} instead of {sorted(self.compares)}"
        (source,) = self.sources
        change = database.change_unless_held if unless_held else database.change
        change_it = partial(change, function_id, {**self._always(), **changes}, only_if={"state": source, **seen})
        if followed is None or not self.is_end:
            return change_it()
        with transaction.atomic(using=database.using):
            is_changed = change_it()
            if is_changed:
                follow(database, [(followed, self._outcome(followed, changes))])
            return is_changed

    def apply_to_all(self, database: Database, ids: Sequence[int], changes: Mapping[str, Any]) -> bool:
        """Change several rows in the same way, in one statement; return whether all of them were changed."""
        assert changes.keys() == self.writes, f"{sorted(changes)} instead of {sorted(self.writes)}"
        assert not self.compares
        assert not self.is_end
        (source,) = self.sources
        return database.change_all(ids, {**self._always(), **changes}, only_if={"state": source}) == len(ids)

    def apply_to_each(
        self,
        database: Database,
        rows: Sequence[Mapping[str, Any]],
        changes: Mapping[str, Any],
        *,
        followed: Sequence[FollowedFunction],
    ) -> bool:
        """Change several rows, each to values of its own, in one round trip; return whether all of them were changed.

        Each of ``rows`` has an ``id``, and what ``changes`` does not have. Only rows that are due are changed.
        ``followed``: those of them whose ends are followed by something.
        """
        assert rows[0].keys() | changes.keys() == self.writes | {"id"}
        (source,) = self.sources
        if database.change_each(rows, {**self._always(), **changes}, only_if={"state": source}) < len(rows):
            return False
        if followed:
            values = {row["id"]: row for row in rows}
            follow(database, [(each, self._outcome(each, values[each.id])) for each in followed])
        return True

    def apply_to_rows(
        self,
        database: Database,
        ids: Sequence[int],
        changes: Mapping[str, Any] | None = None,
        *,
        among: QuerySet[ScheduledFunction] | None = None,
    ) -> int:
        """Change those of the rows that are in a state to start from, and return how many they are.

        What ``compares`` names is not compared: a caller that needs that gives the rows ``among`` which they must be.
        It is part of the transaction that is open.
        """
        changes = changes or {}
        assert changes.keys() == self.writes, f"{sorted(changes)} instead of {sorted(self.writes)}"
        values = {column: database.for_orm(value) for column, value in {**self._always(), **changes}.items()}
        rows = ScheduledFunction.objects.using(database.using) if among is None else among
        rows = rows.filter(database.is_in_state(*self.sources), pk__in=ids)
        if not self.is_end:
            return rows.update(**values)
        number = rows.filter(callbacks__isnull=True).filter(_IS_IN_NO_BATCH).update(**values)
        if number == len(ids):
            return number
        with transaction.atomic(using=database.using):
            followed = _lock_followed(database, rows)
            number += rows.filter(pk__in=[each.id for each in followed]).update(**values)
            follow(database, [(each, self._outcome(each, changes)) for each in followed])
        return number

    def _outcome(self, followed: FollowedFunction, changes: Mapping[str, Any]) -> Outcome:
        """Return how a function ends by this transition, with its result encoded."""
        written = {**self.sets, **changes}
        return Outcome(
            id=followed.id,
            name=followed.name,
            state=self.target.value,
            failure=str(written.get("failure", "")),
            result=json.loads(written.get("result") or "null"),
            error=written.get("error", ""),
            attempts=followed.attempts,
        )

    def _always(self) -> dict[str, Any]:
        return dict(self.sets) if self.target in self.sources else {"state": self.target, **self.sets}


def _lock_followed(database: Database, rows: QuerySet[ScheduledFunction]) -> list[FollowedFunction]:
    """Lock those of the rows whose ends are followed by something, so that nobody else ends them."""
    columns = "pk", "name", "attempts", "context", "callbacks", "batch"
    rows = database.by_primary_key(rows.exclude(Q(callbacks__isnull=True) & Q(_IS_IN_NO_BATCH)))
    locked = database.locking(rows).order_by("pk")
    return [
        FollowedFunction(pk, name, attempts, as_text(context), as_text(callbacks), batch_id)
        for pk, name, attempts, context, callbacks, batch_id in locked.values_list(*columns)
    ]


#: As an expression: of the column alone, MySQL would take the index of batches' members for what finds the rows, and
#: lock all that are in no batch.
_IS_IN_NO_BATCH = Exact(Coalesce("batch", Value(0)), 0)

_PENDING = (State.PENDING,)
_IN_PROGRESS = (State.IN_PROGRESS,)
_ATTEMPT = frozenset({"started_time", "attempts", "executor"})
_ERROR = frozenset({"error", "traceback"})
#: What has come of a mutation is recorded after its rollback, so what is on record may be another attempt's by then, or
#: stand for a call that came meanwhile with its key; or somebody may have been told that it runs at another time.
_SEEN = frozenset({"attempts", "absorbed", "due_time"})

#: By which an executor knows that an action is still in the attempt that it has begun.
_CLAIM = frozenset({"executor", "attempts"})
_UNKNOWN = frozenset({"unknown_since", "unknown_to", "error"})

#: What is on record of the attempts that were repeated.
_EARLIER = frozenset({"failures", "history"})

#: Only what waits is unknown, or waits for a limit, so that what has ended need not be passed over to find that.
_KNOWN = {"unknown_since": None, "waits_for": None, "in_order_of": None}

#: From a new due time on, what was sent to a fleet before means nothing any more, nor who could not execute it.
_KNOWN_AND_HERE = {"handed_over": False, **_KNOWN}

#: What is on record of the time in which it waited is over.
BEGIN = Transition(
    sources=_PENDING,
    target=State.IN_PROGRESS,
    sets={"kind": Kind.ACTION, "error": "", "traceback": "", **_KNOWN},
    writes=_ATTEMPT,
)

#: Alone or in a group. It is part of the transaction in which the body has run, which holds the row's lock.
SUCCEED = Transition(
    sources=_PENDING,
    target=State.SUCCESS,
    sets={"kind": Kind.MUTATION, "error": "", "traceback": "", **_KNOWN},
    writes=_ATTEMPT | {"result", "completed_time"},
)

#: After the rollback: between the two another executor may have made the same attempt.
RETRY = Transition(
    sources=_PENDING,
    target=State.PENDING,
    compares=_SEEN,
    sets=_KNOWN_AND_HERE,
    writes=_ERROR | _EARLIER | {"attempts", "due_time", "same_errors"},
)
FAIL = Transition(
    sources=_PENDING,
    target=State.FAILED,
    compares=_SEEN,
    sets={"kind": Kind.MUTATION, "completed_time": NOW, "due_time": DUE_BEFORE, **_KNOWN},
    writes=_ATTEMPT | _ERROR | {"failure", "same_errors"},
)
MISS = Transition(
    sources=_PENDING,
    target=State.FAILED,
    sets={"failure": Failure.MISSING, "completed_time": NOW, **_KNOWN},
    writes=_ATTEMPT | {"error"},
)

#: To executors with other code. It is due as before, and what has executed or left it meanwhile is not disturbed.
LEAVE = Transition(sources=_PENDING, target=State.PENDING, compares=_SEEN, writes=_UNKNOWN)
LEAVE_BEGUN = Transition(
    sources=_IN_PROGRESS,
    target=State.PENDING,
    compares=_CLAIM,
    sets={"started_time": None},
    writes=_UNKNOWN | {"attempts"},
)

#: By the supervisor of the process. Two processes that have died are counted twice, and one is counted once.
COUNT_CRASH = Transition(
    sources=_PENDING,
    target=State.PENDING,
    compares=frozenset({"crashes"}),
    sets=_KNOWN_AND_HERE,
    writes=frozenset({"crashes", "attempts", "due_time", "error", "history"}),
)
FAIL_CRASHED = Transition(
    sources=_PENDING,
    target=State.FAILED,
    compares=frozenset({"crashes"}),
    sets={"kind": Kind.MUTATION, "failure": Failure.CRASHED, "completed_time": NOW, **_KNOWN},
    writes=frozenset({"error", "executor"}),
)

#: It is due again after a while, for the case that the fleet does not come to it. Only the fleet may begin it before.
HAND_OVER = Transition(
    sources=_PENDING, target=State.PENDING, sets={"handed_over": True}, writes=frozenset({"due_time"})
)

#: The caller has locked the row, so no body is running.
RESCHEDULE = Transition(sources=_PENDING, target=State.PENDING, sets=_KNOWN_AND_HERE, writes=frozenset({"due_time"}))

#: The caller has locked the row, and the key that it holds. See ``scheduling/keys.py``.
KEEP = Transition(sources=_PENDING, target=State.PENDING, writes=frozenset({"absorbed"}))
REPLACE = Transition(
    sources=_PENDING,
    target=State.PENDING,
    sets={"error": "", **_KNOWN},
    writes=frozenset(
        {
            *("name", "kind", "args", "queue", "priority", "due_time", "expires_time", "callbacks", "context"),
            *("parent_id", "handed_over", "absorbed", "tenant"),
        }
    ),
)

#: Only the executor that has begun it can end it, and only while it has not been taken for gone. It may have begun the
#: next attempt since, and then the end of this one means nothing any more.
END = Transition(
    sources=_IN_PROGRESS,
    target=State.SUCCESS,
    compares=_CLAIM,
    sets={"completed_time": NOW},
    writes=frozenset({"result"}),
)
END_FAILED = Transition(
    sources=_IN_PROGRESS,
    target=State.FAILED,
    compares=_CLAIM,
    sets={"completed_time": NOW},
    writes=_ERROR | {"failure"},
)

#: Its body has ended, or its executor is gone. Who has executed it stays on record until it begins again.
RETRY_BEGUN = Transition(
    sources=_IN_PROGRESS,
    target=State.PENDING,
    compares=_CLAIM,
    sets={"started_time": None, **_KNOWN_AND_HERE},
    writes=_ERROR | _EARLIER | {"due_time", "same_errors"},
)

LOSE = Transition(
    sources=_IN_PROGRESS,
    target=State.FAILED,
    sets={"failure": Failure.LOST, "completed_time": NOW},
    writes=frozenset({"error"}),
)

CANCEL = Transition(
    sources=(State.PENDING, State.IN_PROGRESS),
    target=State.CANCELED,
    sets={"due_time": DUE_BEFORE, "completed_time": NOW, **_KNOWN},
)

#: Its body has not begun, so nobody is executing it.
EXPIRE = Transition(
    sources=_PENDING,
    target=State.CANCELED,
    sets={"failure": Failure.EXPIRED, "completed_time": NOW, **_KNOWN},
    writes=frozenset({"error"}),
)

#: The caller has locked the row. It keeps its place: by when it was due. (MySQL assigns in the order of the columns.)
WAIT = Transition(
    sources=_PENDING,
    target=State.PENDING,
    sets={"handed_over": False},
    writes=frozenset({"waits_for", "in_order_of", "waiting_since", "due_time"}),
)

#: Likewise. It is due as it was, and stays in the order of those that wait until it begins.
LET_IN = Transition(sources=_PENDING, target=State.PENDING, sets={"due_time": DUE_BEFORE})
