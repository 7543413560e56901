"""Outcomes tell a callback how the function or the batch that it follows has ended."""

from dataclasses import dataclass, field, fields
from typing import Any

from django_scheduler.errors import InvalidArguments
from django_scheduler.models import State
from django_scheduler.values import MAY_BE_GONE, Gone


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Says how a scheduled function has ended, as ``on_complete`` and ``on_failure`` are told.

    ``state``: "success", "failed" or "canceled". ``failure``: why it is not a success: "error", "lost", "timeout",
    "missing", "crashed", "transient" or "expired"; empty for a success, and for what somebody has canceled. ``result``:
    what it returned. ``error``: the text on record. ``attempts``: how often it was executed.

    A result may have become impossible to restore, as a model instance that was deleted meanwhile. Then ``result``
    raises ``InvalidArguments`` when it is read, and everything else is there.

    Example::

        @internal_mutation
        def report(ctx, *, outcome: Outcome, order_id: int) -> None:
            Order.objects.filter(pk=order_id).update(is_synchronized=outcome.state == "success")
    """

    id: int
    name: str
    state: str
    failure: str = ""
    result: Any = field(default=None, metadata=MAY_BE_GONE)
    error: str = ""
    attempts: int = 0

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if type(value) is Gone:
            raise InvalidArguments(
                f"The result of {self.name} {self.id}, which has ended ({self.state}), cannot be restored any more:"
                f" {value.problem}. Everything else of its outcome is there."
            )
        return value

    def __repr__(self) -> str:
        shown = (f"{each.name}={vars(self)[each.name]!r}" for each in fields(self))
        return f"Outcome({', '.join(shown)})"

    @property
    def is_success(self) -> bool:
        return self.state == State.SUCCESS


@dataclass(frozen=True, kw_only=True)
class BatchOutcome:
    """Says how the members of a batch have ended, as its ``on_complete`` is told.

    ``total``: how many there were, with those that members have added.
    """

    id: int
    total: int = 0
    succeeded: int = 0
    failed: int = 0
    canceled: int = 0

    @property
    def is_success(self) -> bool:
        """Return whether all of them have succeeded."""
        return self.succeeded == self.total
