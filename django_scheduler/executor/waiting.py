"""What finds no slot of a limit waits for one: it leaves what is due, and its claim is over without an attempt."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django_scheduler.databases import DUE_TIME, Database, DriverTime
from django_scheduler.errors import SchedulerError
from django_scheduler.executor.execution import Execution, SingleExecution
from django_scheduler.models import FAR, ScheduledFunctionId
from django_scheduler.record import let_in_these, transitions


class SlotsMissing(Exception):
    """Says which slots have to be inserted, outside of this transaction, before what was claimed is claimed again."""

    def __init__(self, slots: Sequence[tuple[str, int]]) -> None:
        super().__init__(slots)
        self.slots = slots


class WaitingGroup(Execution):
    """Has functions wait for their limits. No body begins, so they share a short transaction.

    ``limits``: which for which. ``before``: those whose turn it is, where there is a slot. They may have begun to wait
    when it was just given back, and be passed over by who has let in the next ones.
    """

    def __init__(self, limits: Mapping[SingleExecution, str], database: Database, before: Collection[int] = ()) -> None:
        self._limits = limits
        self._database = database
        self._before = before

    @property
    def ids(self) -> Collection[ScheduledFunctionId]:
        return [member.id for member in self._limits]

    @property
    def begun(self) -> Sequence[SingleExecution]:
        return []

    def in_transaction(self) -> None:
        put_aside(self._limits, self._database, FAR)
        if self._before:
            let_in_these(self._database, self._before)

    def after_commit(self) -> None:
        return None

    def after_rollback(self, error: BaseException) -> None:
        raise error


def put_aside(limits: Mapping[SingleExecution, str], database: Database, due_time: Any) -> None:
    """Have functions that are locked be due at another time, because of these limits, and keep their places."""
    alike: dict[tuple[str, str | None, bool], list[SingleExecution]] = {}
    for member, limit in limits.items():
        alike.setdefault((limit, member.in_order_of, member.claimed.due_in > 0), []).append(member)
    for (limit, in_order_of, is_due_again), members in alike.items():
        since = DUE_TIME
        if is_due_again:  # then it was claimed alone
            since = due_before(members[0], database) or members[0].claimed.claim_time
        ids = [member.id for member in members]
        changes = {"waits_for": limit, "in_order_of": in_order_of, "waiting_since": since, "due_time": due_time}
        if not transitions.WAIT.apply_to_all(database, ids, changes):
            raise SchedulerError(f"{len(ids)} functions cannot wait for {limit}: the database does not change them.")


def due_before(execution: SingleExecution, database: Database) -> DriverTime | None:
    """Return when one was due that is claimed before it is due again; ``None``: that is not on record, or is not so.

    What was handed over is due again for the case that the fleet does not come to it, and keeps its place.
    """
    return database.place_of(execution.id) if execution.claimed.due_in > 0 else None
