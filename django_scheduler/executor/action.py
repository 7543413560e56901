"""The execution of an action: its body starts at most once.

The invariant: before the body starts, ``in_progress`` and the executor's name are committed, and nobody ever
starts a row that is not ``pending``. So a body may not have started although its row says so (the worker died
in between), but it never starts twice.

When the worker dies the row stays ``in_progress`` until the executor is known to be gone, and is then recorded as
``failed``, ``lost``: see ``recovery.py``. If this executor was only thought to be gone, or the action was
canceled, the end of the body finds the row decided and is dropped.

COMMIT of the claim lost on the way: the row is read. If it names this executor and this attempt, the claim had
taken effect and the body starts now; nobody else can have started it, because nobody else has this name.

The end of a body that has run must not get lost: it is recorded again and again until the database takes it.
"""

import logging
import time
from typing import Any

from django.db import DatabaseError, InterfaceError

from django_scheduler import values
from django_scheduler.databases import NOW
from django_scheduler.executor.event_loop import run_in_event_loop
from django_scheduler.executor.execution import FunctionExecution
from django_scheduler.executor.outcome import describe
from django_scheduler.executor.session import discard_connection, tidy_connections
from django_scheduler.models import Failure, Kind, State

#: The waits between attempts to record an end, in seconds.
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0


class ActionExecution(FunctionExecution):
    def in_transaction(self) -> None:
        changes = {
            "state": State.IN_PROGRESS,
            "kind": Kind.ACTION,
            "started_time": self.claimed.claim_time,
            "attempts": self.attempt,
            "worker": self.executor_name,
        }
        self.database.record(self.id, changes, only_if={"state": State.PENDING})

    def after_rollback(self, error: BaseException) -> None:
        discard_connection(self.database.using)
        row = self.current_row()
        claimed_after_all = {
            "state": State.IN_PROGRESS,
            "worker": self.executor_name,
            "attempts": self.attempt,
        }
        if row != claimed_after_all:
            raise error
        self.after_commit()

    def after_commit(self) -> None:
        try:
            arguments = values.load_arguments(self.name, self.claimed.args)
            result = self.call_body(arguments)
        except BaseException as error:
            changes = {"state": State.FAILED, "failure": Failure.ERROR, **describe(error)}
            self._finish(changes, error)
        else:
            self._finish({"state": State.SUCCESS, "result": None if result is None else values.dump_result(result)})

    def call_body(self, arguments: dict[str, object]) -> Any:
        if self.function.is_async:
            return run_in_event_loop(self.function, arguments, self.context)
        return super().call_body(arguments)

    def _finish(self, changes: dict[str, Any], error: BaseException | None = None) -> None:
        expected = {"state": State.IN_PROGRESS, "worker": self.executor_name}
        if self._record_until_taken({**changes, "completed_time": NOW}, expected):
            self.log_end(changes["state"], changes.get("failure"), error)
        else:
            self.log_dropped(f"its end ({changes['state'].value})")

    def _record_until_taken(self, changes: dict[str, Any], expected: dict[str, Any]) -> bool:
        wait = FIRST_WAIT
        tried_before = False
        while True:
            try:
                tidy_connections(self.database.using)
                return self.database.record(self.id, changes, only_if=expected) or (
                    tried_before and self._was_recorded(changes)
                )
            except (DatabaseError, InterfaceError) as error:
                tried_before = True
                self.log(
                    logging.WARNING,
                    "%s %s: its end (%s) could not be recorded yet, trying again in %.1f s: %s",
                    self.name,
                    self.id,
                    changes["state"].value,
                    wait,
                    error,
                )
                discard_connection(self.database.using)
            time.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT)

    def _was_recorded(self, changes: dict[str, Any]) -> bool:
        """Whether an earlier try had taken effect, and only its answer was lost."""
        row = self.current_row()
        return row.get("state") == changes["state"] and row.get("worker") == self.executor_name
