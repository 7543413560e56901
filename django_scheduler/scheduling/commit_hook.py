"""The commit hook counts what a transaction schedules against its limits, and announces it when it commits.

Django keeps an ``on_commit`` hook together with the savepoints in which it was registered, and drops it when
one of them is rolled back. So the hook is the counter: there is one for every nesting of savepoints in which
something was scheduled, and what the transaction has scheduled is the sum of those that are left. They share
one wake-up.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from django_scheduler import signals
from django_scheduler.conf import get_settings
from django_scheduler.databases import connection_state
from django_scheduler.errors import ArgumentsTooLarge, TooManyScheduled
from django_scheduler.models import ScheduledFunctionId
from django_scheduler.scheduling import wakeup
from django_scheduler.telemetry import warn

WARN_ABOVE = 0.8


@dataclass(frozen=True, slots=True)
class Volume:
    """A number of functions and the bytes of their arguments."""

    functions: int = 0
    argument_bytes: int = 0

    def __add__(self, other: "Volume") -> "Volume":
        return Volume(self.functions + other.functions, self.argument_bytes + other.argument_bytes)


@dataclass(frozen=True, slots=True)
class Limit:
    """How much one transaction may schedule, one by one or in bulk."""

    functions_setting: str
    argument_bytes_setting: str

    def check(self, before: Volume, added: Volume, function_name: str) -> None:
        """Raise ``TooManyScheduled`` or ``ArgumentsTooLarge`` if this is more than the limit."""
        after = before + added
        self._check(
            TooManyScheduled,
            self.functions_setting,
            before.functions,
            after.functions,
            function_name,
            "functions",
        )
        self._check(
            ArgumentsTooLarge,
            self.argument_bytes_setting,
            before.argument_bytes,
            after.argument_bytes,
            function_name,
            "bytes of arguments",
        )

    def _check(
        self, error: type[Exception], setting: str, before: int, after: int, function_name: str, unit: str
    ) -> None:
        limit: int = getattr(get_settings(), setting)
        if after > limit:
            raise error(
                f"{function_name} was not scheduled: this transaction would have scheduled {after:,} {unit}, and"
                f" {limit:,} are allowed (DJANGO_SCHEDULER[{setting!r}]). Schedule in several transactions, or"
                " schedule one function that schedules the rest."
            )
        if before <= limit * WARN_ABOVE < after:
            warn(
                "One transaction has scheduled %s of the %s %s that it may (DJANGO_SCHEDULER[%r]), with %s.",
                f"{after:,}",
                f"{limit:,}",
                unit,
                setting,
                function_name,
            )


ONE_BY_ONE = Limit("MAX_SCHEDULED_PER_TRANSACTION", "MAX_ARGUMENT_BYTES_PER_TRANSACTION")
BULK = Limit("MAX_BULK_SCHEDULED_PER_TRANSACTION", "MAX_BULK_ARGUMENT_BYTES_PER_TRANSACTION")


@dataclass(slots=True)
class Announcement:
    """The one wake-up that the hooks of a transaction share."""

    using: str
    sent: bool = False

    def send(self) -> None:
        if not self.sent:
            self.sent = True
            wakeup.send(self.using)


@dataclass(frozen=True, slots=True)
class Scheduled:
    """Functions of one call, to be told to the receivers of ``function_scheduled``."""

    using: str
    name: str
    kind: str
    queue: str
    ids: Sequence[ScheduledFunctionId]

    def send(self) -> None:
        for function_id in self.ids:
            signals.send(
                signals.function_scheduled,
                function_id=function_id,
                name=self.name,
                kind=self.kind,
                queue=self.queue,
                using=self.using,
            )


@dataclass(slots=True, eq=False)
class CommitHook:
    """What was scheduled in one nesting of savepoints."""

    announcement: Announcement
    savepoints: frozenset[str | None]
    volumes: dict[Limit, Volume] = field(default_factory=dict)
    wakes: bool = False
    #: Only kept where somebody wants to be told.
    scheduled: list[Scheduled] = field(default_factory=list)

    def __call__(self) -> None:
        if self.wakes:
            self.announcement.send()
        for scheduled in self.scheduled:
            scheduled.send()


def count(using: str, limit: Limit, added: Volume, function_name: str) -> None:
    """Count what is about to be scheduled against the limits of the open transaction.

    Raises ``TooManyScheduled`` or ``ArgumentsTooLarge``; then it has not been counted.
    """
    connection = connections[using]
    hooks = _hooks(connection)
    before = sum((hook.volumes.get(limit, Volume()) for hook in hooks), Volume())
    limit.check(before, added, function_name)
    if connection_state.is_in_atomic_block(connection):
        hook = _hook_of_these_savepoints(connection, hooks)
        hook.volumes[limit] = hook.volumes.get(limit, Volume()) + added


def share_announcement(hooks: Iterable[object]) -> None:
    """Have these hooks send one wake-up, because their transactions have become one."""
    ours = [hook for hook in hooks if isinstance(hook, CommitHook)]
    for hook in ours:
        hook.announcement = ours[0].announcement


def announce(scheduled: Scheduled, *, wake: bool) -> None:
    """Wake the executors and send the signals, at once or when the transaction commits that is open.

    ``wake=False``: executors need not look, because nothing is due soon.
    """
    connection = connections[scheduled.using]
    is_told = bool(signals.function_scheduled.receivers)
    if connection_state.is_in_atomic_block(connection):
        hook = _hook_of_these_savepoints(connection, _hooks(connection))
        hook.wakes |= wake
        if is_told:
            hook.scheduled.append(scheduled)
    elif connection.get_autocommit():
        if wake:
            wakeup.send(scheduled.using)
        if is_told:
            scheduled.send()


def _hooks(connection: BaseDatabaseWrapper) -> list[CommitHook]:
    return [hook for hook in connection_state.commit_hooks(connection) if isinstance(hook, CommitHook)]


def _hook_of_these_savepoints(connection: BaseDatabaseWrapper, hooks: list[CommitHook]) -> CommitHook:
    savepoints = frozenset(connection_state.savepoints(connection))
    for hook in hooks:
        if hook.savepoints == savepoints:
            return hook
    announcement = hooks[0].announcement if hooks else Announcement(connection.alias)
    hook = CommitHook(announcement, savepoints)
    transaction.on_commit(hook, using=connection.alias, robust=True)
    return hook
