"""What an executor cannot execute: its code has no such function, or refuses the arguments, or it has expired.

While a new version is deployed, executors with old code meet what new code has scheduled, and the other way round.
Valid work must not fail because of who finds it first. So such a function is left to others:

* It stays pending, and due as it was. Its row notes since when executors have met it that could not execute it
  (``unknown_since``), and which ones (``unknown_to``). These pass over it from then on, and execute what comes after.
* All others claim it as if nothing had been, and so does every process that starts later: it has another ``CODE``.
* After the setting ``UNKNOWN_FUNCTION_GRACE``, counted from the first time, who comes to it fails it.

So a function costs one short transaction for each process that cannot execute it. As long as everything is known, none
of this is asked.

That an action's arguments are refused is only known once it has begun on record. Its body has not begun, and nobody
else can begin it meanwhile, so it may be pending again.
"""

import logging
import secrets
from collections.abc import Collection, Sequence
from typing import Any

from django_scheduler.conf import get_settings
from django_scheduler.databases import Claimable, Database
from django_scheduler.executor.body import FunctionExecution
from django_scheduler.executor.execution import Execution, SingleExecution
from django_scheduler.models import Failure, ScheduledFunctionId, State
from django_scheduler.record import transitions
from django_scheduler.values import InstanceGone

#: Stands for what this process can execute. It is another one each time that a process starts, so that no two versions
#: of the code are ever taken for the same.
CODE = secrets.token_hex(4)

#: Why a function is left that this process does know.
REFUSED = "this executor's code refuses its arguments"


class Unexecutable(SingleExecution):
    """Records what becomes of a function that is unknown here. There is no body, so several share a transaction."""

    def after_rollback(self, error: BaseException) -> None:
        raise error


class MissingExecution(Unexecutable):
    """Fails a function that this process does not know: it is gone, or in a module that nothing here imports."""

    def in_transaction(self) -> None:
        changes = {
            "error": (
                f"FunctionNotFound: there is no function {self.name!r} in any installed app. Restore it (name= or"
                " aliases= keeps an old name); or, if another module defines it, import that in its app's functions.py,"
                " because executors import no others. Then schedule this again."
            ),
            **self.attempt_on_record,
        }
        transitions.MISS.apply(self.database, self.id, changes, followed=self.followed)

    def after_commit(self) -> None:
        self.announce(State.FAILED, Failure.MISSING)


class LeftExecution(Unexecutable):
    """Leaves a function that this process does not know to others."""

    def in_transaction(self) -> None:
        error = (
            f"FunctionNotFound: the code of the executor {self.executor_name} has no function {self.name!r}. It is left"
            " to executors with other code."
        )
        transitions.LEAVE.apply(self.database, self.id, left(self, error), seen=self.seen)

    def after_commit(self) -> None:
        note_left(self, "this executor's code does not know it")


class ExpiredExecution(Unexecutable):
    """Cancels a function that had not begun when it expired."""

    def __init__(self, claimed: Claimable, database: Database, executor_name: str) -> None:
        super().__init__(claimed, database, executor_name)
        self.attempt = claimed.attempts  # none begins

    def in_transaction(self) -> None:
        assert self.claimed.expires_time is not None
        expired = self.database.instant(self.claimed.expires_time)
        error = (
            f"It had not begun at {expired}, when it expired. Schedule it again if it is still to run, and see to it"
            " that executors are running that have time for it."
        )
        transitions.EXPIRE.apply(self.database, self.id, {"error": error}, followed=self.followed)

    def after_commit(self) -> None:
        self.announce(State.CANCELED, Failure.EXPIRED)


class UnexecutableGroup(Execution):
    """Does in one transaction what has to be done with several functions that are unknown here."""

    def __init__(self, members: Sequence[Unexecutable]) -> None:
        self._members = members

    @property
    def ids(self) -> Collection[ScheduledFunctionId]:
        return [member.id for member in self._members]

    @property
    def begun(self) -> Sequence[SingleExecution]:
        return self._members

    def in_transaction(self) -> None:
        for member in self._members:
            member.in_transaction()

    def after_commit(self) -> None:
        for member in self._members:
            member.after_commit()

    def after_rollback(self, error: BaseException) -> None:
        raise error


def execution_of_unknown(claimed: Claimable, database: Database, executor_name: str) -> Unexecutable:
    """Return what becomes of a function that this process does not know."""
    missing = MissingExecution(claimed, database, executor_name)
    return LeftExecution(claimed, database, executor_name) if missing.may_be_left else missing


def is_to_be_left(execution: FunctionExecution, error: BaseException) -> bool:
    """Return whether ``error`` says that this code refuses the arguments, and other code may still take them.

    None does if the row of a model instance is gone.
    """
    return error is execution.refusal and not isinstance(error.__cause__, InstanceGone) and execution.may_be_left


def left(execution: SingleExecution, error: str) -> dict[str, Any]:
    """Return the columns that say that a function is left to others, and why."""
    claimed = execution.claimed
    processes = (claimed.unknown_to or "").split()
    return {
        "unknown_since": claimed.unknown_since or claimed.claim_time,
        "unknown_to": " ".join(processes if CODE in processes else [*processes, CODE]),
        "error": error,
    }


def note_left(execution: SingleExecution, why: str) -> None:
    """Note that a function was left; log it for the first one of its name, and for the others only to debug."""
    execution.is_left = True
    level = logging.DEBUG if execution.name in _logged else logging.WARNING
    _logged.add(execution.name)
    execution.log(
        level,
        "%s, so it is left pending for executors with other code, and fails if none has executed it %s after this was"
        " first found (DJANGO_SCHEDULER['UNKNOWN_FUNCTION_GRACE']). Others of this name are left without a further"
        " warning.",
        why,
        get_settings().UNKNOWN_FUNCTION_GRACE,
        state=State.PENDING.value,
    )


#: The names of the functions of which it was logged that they are left.
_logged: set[str] = set()
